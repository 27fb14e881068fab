"""A plain PyTorch training loop over a folder of pictures.

    python examples/pytorch_loop.py [--data FOLDER] [--epochs N] [--device cuda]

FOLDER holds train/ and test/, each with one folder per class. Without it, pictures are made.
"""

import argparse
from pathlib import Path

import torch
from make_data import demo_data
from torch import nn
from torch.nn.functional import cross_entropy

from pyloader import ImageDataGenerator
from pyloader.integrations.torch import TorchLoader

parser = argparse.ArgumentParser(description="Trains a small model with PyTorch.")
parser.add_argument("--data", type=Path, metavar="FOLDER", help="your pictures, not made ones")
parser.add_argument("--epochs", type=int, default=3)
parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
options = parser.parse_args()
data = options.data or demo_data()
flow = {"target_size": (64, 64), "class_mode": "sparse", "batch_size": 32}

augmented = ImageDataGenerator(rescale=1 / 255, horizontal_flip=True)
plain = ImageDataGenerator(rescale=1 / 255)
train_it = augmented.flow_from_directory(data / "train", seed=1, **flow)
test_it = plain.flow_from_directory(data / "test", shuffle=False, **flow)

# On a GPU the next batch is copied while the step runs, from page-locked memory.
on_gpu = options.device.startswith("cuda")
train = TorchLoader(train_it, options.device, pin_memory=on_gpu)
test = TorchLoader(test_it, options.device, pin_memory=on_gpu)

torch.manual_seed(1)
model = nn.Sequential(
    nn.Conv2d(3, 16, 3, stride=2),
    nn.ReLU(),
    nn.Conv2d(16, 32, 3, stride=2),
    nn.ReLU(),
    nn.AdaptiveAvgPool2d(1),
    nn.Flatten(),
    nn.Linear(32, train_it.num_classes),
)
model.to(options.device, memory_format=torch.channels_last)
optimizer = torch.optim.Adam(model.parameters(), 0.01)


def predict(images):
    """Returns the scores of a batch. The permutation copies nothing: it only renames axes."""
    return model(images.permute(0, 3, 1, 2))


for epoch in range(options.epochs):
    model.train()
    total = torch.zeros((), device=options.device)
    for images, labels in train:
        loss = cross_entropy(predict(images), labels.long())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.detach() * len(images)  # no .item() here: it would wait for the GPU
    print(f"epoch {epoch + 1}: loss {total.item() / train_it.samples:.3f}")

model.eval()
with torch.no_grad():
    right = sum(int((predict(x).argmax(1) == y).sum()) for x, y in test)
print(
    f"PyTorch {torch.__version__} on {options.device}: {train_it.samples} pictures, "
    f"{options.epochs} epochs, {right} of {test_it.samples} test pictures right"
)
