"""A small convolutional network in JAX alone, trained on a folder of pictures.

    python examples/jax_loop.py [--data FOLDER] [--epochs N]

FOLDER holds train/ and test/, each with one folder per class. Without it, pictures are made.
"""

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
from jax import lax
from make_data import demo_data

from pyloader import ImageDataGenerator
from pyloader.integrations.jax import to_jax

RATE, MOMENTUM = 0.3, 0.9


def make_parameters(key, classes):
    """Returns two convolutions and a dense layer, as a dict of arrays."""
    shapes = {"conv1": (3, 3, 3, 16), "conv2": (3, 3, 16, 32), "dense": (32, classes)}
    keys = jax.random.split(key, len(shapes))
    weights = {
        name: jax.nn.initializers.he_normal()(key, shape)
        for (name, shape), key in zip(shapes.items(), keys, strict=True)
    }
    return weights | {f"{name}_bias": jnp.zeros(shape[-1]) for name, shape in shapes.items()}


def predict(parameters, images):
    """Returns the scores of each class, (n, classes)."""
    x = images
    for name in ("conv1", "conv2"):
        x = lax.conv_general_dilated(
            x, parameters[name], (2, 2), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
        )
        x = jax.nn.relu(x + parameters[f"{name}_bias"])
    return x.mean(axis=(1, 2)) @ parameters["dense"] + parameters["dense_bias"]


def loss_of(parameters, images, labels):
    """Returns the mean cross entropy."""
    scores = jax.nn.log_softmax(predict(parameters, images))
    return -jnp.take_along_axis(scores, labels[:, None], axis=1).mean()


@jax.jit
def step(parameters, momenta, images, labels):
    """Runs one step of gradient descent. Compiled once per shape: the last batch has its own."""
    loss, gradients = jax.value_and_grad(loss_of)(parameters, images, labels.astype(int))
    momenta = jax.tree.map(lambda m, g: MOMENTUM * m + g, momenta, gradients)
    parameters = jax.tree.map(lambda p, m: p - RATE * m, parameters, momenta)
    return parameters, momenta, loss


@jax.jit
def count_right(parameters, images, labels):
    """Returns the number of correct predictions in a batch."""
    return (predict(parameters, images).argmax(axis=1) == labels).sum()


parser = argparse.ArgumentParser(description="Trains a small model with JAX.")
parser.add_argument("--data", type=Path, metavar="FOLDER", help="your pictures, not made ones")
parser.add_argument("--epochs", type=int, default=3)
options = parser.parse_args()
data = options.data or demo_data()
flow = {"target_size": (64, 64), "class_mode": "sparse", "batch_size": 32}

augmented = ImageDataGenerator(rescale=1 / 255, horizontal_flip=True)
plain = ImageDataGenerator(rescale=1 / 255)
train_it = augmented.flow_from_directory(data / "train", seed=1, **flow)
test_it = plain.flow_from_directory(data / "test", shuffle=False, **flow)

parameters = make_parameters(jax.random.key(1), train_it.num_classes)
momenta = jax.tree.map(jnp.zeros_like, parameters)
for epoch in range(options.epochs):
    losses = []
    for batch in train_it.epoch():
        images, labels = to_jax(batch)  # on the CPU without a copy
        parameters, momenta, loss = step(parameters, momenta, images, labels)
        losses.append(loss * len(images))  # still an array: no synchronization here
    print(f"epoch {epoch + 1}: loss {float(sum(losses)) / train_it.samples:.3f}")

right = sum(int(count_right(parameters, *to_jax(batch))) for batch in test_it.epoch())
print(
    f"JAX {jax.__version__} on {jax.default_backend()}: {train_it.samples} pictures, "
    f"{options.epochs} epochs, {right} of {test_it.samples} test pictures right"
)
