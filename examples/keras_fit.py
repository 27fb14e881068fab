"""The tutorial on Keras 3: trains, validates, tests and predicts, with any backend.

    KERAS_BACKEND=torch python examples/keras_fit.py [--data FOLDER] [--epochs N]

FOLDER holds train/, validation/ and test/, each with one folder per class. Without it, pictures
are made.
"""

import argparse
from pathlib import Path

import keras
from keras.layers import Conv2D, Dense, GlobalAveragePooling2D, Input
from make_data import demo_data

from pyloader import ImageDataGenerator

parser = argparse.ArgumentParser(description="Trains a small model with Keras 3.")
parser.add_argument("--data", type=Path, metavar="FOLDER", help="your pictures, not made ones")
parser.add_argument("--epochs", type=int, default=3)
options = parser.parse_args()
data = options.data or demo_data()
flow = {"target_size": (64, 64), "batch_size": 32, "interpolation": "bilinear"}

# three iterators; only the training set is augmented
augmented = ImageDataGenerator(rescale=1 / 255, rotation_range=10, horizontal_flip=True)
plain = ImageDataGenerator(rescale=1 / 255)
train_it = augmented.flow_from_directory(data / "train", class_mode="sparse", seed=1, **flow)
val_it = plain.flow_from_directory(data / "validation", class_mode="sparse", **flow)
test_it = plain.flow_from_directory(data / "test", class_mode="sparse", **flow)

model = keras.Sequential(
    [
        Input(train_it.image_shape),
        Conv2D(16, 3, strides=2, activation="relu"),
        Conv2D(32, 3, strides=2, activation="relu"),
        GlobalAveragePooling2D(),
        Dense(train_it.num_classes, activation="softmax"),
    ]
)
model.compile(
    keras.optimizers.Adam(0.01), loss="sparse_categorical_crossentropy", metrics=["accuracy"]
)

# fit and evaluate take the iterators as they are
model.fit(train_it, validation_data=val_it, epochs=options.epochs, verbose=2)
loss, accuracy = model.evaluate(test_it, verbose=0)

# predictions in the order of the files: no shuffling, no labels
predict_it = plain.flow_from_directory(data / "test", class_mode=None, shuffle=False, **flow)
predictions = model.predict(predict_it, verbose=0)
class_names = list(test_it.class_indices)
for filename, probabilities in list(zip(predict_it.filenames, predictions, strict=True))[:4]:
    best = probabilities.argmax()
    print(f"{filename}: {class_names[best]} ({probabilities[best]:.2f})")

print(
    f"Keras {keras.__version__} on {keras.backend.backend()}: {train_it.samples} pictures, "
    f"{options.epochs} epochs, {accuracy:.0%} of {test_it.samples} test pictures right"
)
