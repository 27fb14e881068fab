"""The tutorial's script; only the import differs. Optional argument: the folder, instead of data.

python examples/tutorial.py [FOLDER]
"""

import sys

from pyloader import ImageDataGenerator

data = sys.argv[1] if len(sys.argv) > 1 else "data"

# create generator
datagen = ImageDataGenerator()
# prepare an iterator for each dataset
train_it = datagen.flow_from_directory(data + "/train/", class_mode="binary")
val_it = datagen.flow_from_directory(data + "/validation/", class_mode="binary")
test_it = datagen.flow_from_directory(data + "/test/", class_mode="binary")
# confirm the iterator works
batchX, batchy = train_it.next()
print("Batch shape=%s, min=%.3f, max=%.3f" % (batchX.shape, batchX.min(), batchX.max()))  # noqa: UP031
