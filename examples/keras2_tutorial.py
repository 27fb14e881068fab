"""The whole tutorial, written for Keras 2, on any Keras.

python -m pyloader run examples/keras2_tutorial.py [FOLDER]

FOLDER (default: data) holds train/, validation/ and test/ with the folders red/ and blue/ inside.
Keras 3 without pyloader no longer has this import, .next() and the *_generator methods.
"""

import sys

from keras.layers import BatchNormalization, Conv2D, Dense, GlobalAveragePooling2D, Input
from keras.models import Sequential
from keras.preprocessing.image import ImageDataGenerator

data = sys.argv[1] if len(sys.argv) > 1 else "data"

# create a data generator
datagen = ImageDataGenerator()
# load and iterate the three datasets
train_it = datagen.flow_from_directory(data + "/train/", class_mode="binary", batch_size=64)
val_it = datagen.flow_from_directory(data + "/validation/", class_mode="binary", batch_size=64)
test_it = datagen.flow_from_directory(data + "/test/", class_mode="binary", batch_size=64)
# confirm the iterator works
batchX, batchy = train_it.next()
print("Batch shape=%s, min=%.3f, max=%.3f" % (batchX.shape, batchX.min(), batchX.max()))  # noqa: UP031
# define model
model = Sequential()
model.add(Input((256, 256, 3)))
model.add(BatchNormalization())
model.add(Conv2D(2, (8, 8), strides=8, activation="relu"))
model.add(GlobalAveragePooling2D())
model.add(Dense(1, activation="sigmoid"))
model.compile(loss="binary_crossentropy", optimizer="adam")
# fit model
model.fit_generator(train_it, steps_per_epoch=16, validation_data=val_it, validation_steps=8)
# evaluate model
loss = model.evaluate_generator(test_it, steps=24)
print(f"Loss={loss:.3f}")
# make a prediction
predict_it = datagen.flow_from_directory(
    data + "/test/", class_mode=None, batch_size=64, shuffle=False
)
yhat = model.predict_generator(predict_it, steps=24)
print(f"Predictions={yhat.shape}")
