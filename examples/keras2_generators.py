"""A script of Keras 2 that uses generators in many ways, on any Keras.

python -m pyloader run examples/keras2_generators.py [FOLDER]

FOLDER as for keras2_tutorial.py. Epochs of more and of fewer steps than len(it), all arguments of
the *_generator methods, user-written generators, and images zipped with masks.
"""

import argparse

import keras
from keras.layers import BatchNormalization, Conv2D, Dense, GlobalAveragePooling2D, Input
from keras.models import Model
from tensorflow.keras.preprocessing.image import ImageDataGenerator

parser = argparse.ArgumentParser()
parser.add_argument("data", nargs="?", default="data")
parser.add_argument("--epochs", type=int, default=2)
options = parser.parse_args()

assert ImageDataGenerator is keras.preprocessing.image.ImageDataGenerator


def build(masks):
    """Returns a model that predicts a mask, or one that classifies red and blue."""
    image = Input((64, 64, 3))
    features = Conv2D(2, 3, padding="same", activation="relu")(BatchNormalization()(image))
    if masks:
        result = Conv2D(1, 1, activation="sigmoid")(features)
    else:
        result = Dense(1, activation="sigmoid")(GlobalAveragePooling2D()(features))
    model = Model(image, result)
    model.compile("rmsprop", "binary_crossentropy", metrics=["accuracy"])
    return model


# classes, with everything that fit_generator takes
datagen = ImageDataGenerator(rescale=1.0 / 255)
flow = {"target_size": (64, 64), "class_mode": "binary", "batch_size": 2}
train_it = datagen.flow_from_directory(options.data + "/train", **flow)
val_it = datagen.flow_from_directory(options.data + "/validation", **flow)
model = build(masks=False)
history = model.fit_generator(
    generator=train_it,
    steps_per_epoch=train_it.samples / train_it.batch_size + 1.5,  # more than an epoch
    epochs=options.epochs,
    verbose=2,
    callbacks=[keras.callbacks.EarlyStopping(monitor="loss", patience=5)],
    validation_data=val_it,
    validation_steps=3,
    validation_freq=1,
    class_weight={0: 1.0, 1: 2.0},
    max_queue_size=10,
    workers=4,
    use_multiprocessing=False,
    shuffle=True,
    initial_epoch=0,
)
print("epochs:", len(history.history["val_loss"]))
print("metrics:", len(model.evaluate_generator(val_it, steps=5, workers=2, verbose=0)))


# a user-written generator around the iterator
def inverted(batches):
    while True:
        images, labels = batches.next()
        yield 1.0 - images, labels


model.fit_generator(inverted(train_it), steps_per_epoch=2, epochs=1, verbose=0)

# images and masks, with the same seed
images_it = ImageDataGenerator(rescale=1.0 / 255).flow_from_directory(
    options.data + "/train", target_size=(64, 64), class_mode=None, batch_size=2, seed=1
)
masks_it = ImageDataGenerator(rescale=1.0 / 255).flow_from_directory(
    options.data + "/train",
    target_size=(64, 64),
    class_mode=None,
    color_mode="grayscale",
    batch_size=2,
    seed=1,
)
painter = build(masks=True)
both_it = zip(images_it, masks_it)  # noqa: B905
painter.fit_generator(both_it, steps_per_epoch=3, epochs=1, verbose=0)
print("painted:", painter.predict_generator(images_it, steps=2).shape)
