"""Batches in TensorFlow's hands: tensors of it never change because the iterator goes on."""

import pytest
from needs import needs
from tensorflow_script import says_same

needs("tensorflow")

SCRIPT = """
import sys
import numpy as np
import tensorflow as tf
from pyloader import ImageDataGenerator

x = np.broadcast_to(np.arange(24, dtype=np.uint8)[:, None, None, None], (24, 40, 40, 3))
flow = ImageDataGenerator().flow(
    np.ascontiguousarray(x), np.arange(24), batch_size=4, seed=3, prefetch=int(sys.argv[2]),
    num_threads=2,
)
make = {
    "convert_to_tensor": tf.convert_to_tensor,
    "constant": tf.constant,
    "dlpack": lambda images: tf.experimental.dlpack.from_dlpack(images.__dlpack__()),
}[sys.argv[1]]
kept, places = [], set()
for turn in range(40):
    images, _ = next(flow)
    places.add(images.ctypes.data)
    if turn < 6:
        kept.append((make(images), images.copy()))
    del images
assert len(places) < 20, places  # slots were reused
for tensor, images in kept:
    np.testing.assert_array_equal(tensor.numpy(), images)

flow.reset()
dataset = tf.data.Dataset.from_generator(
    flow.epoch,
    output_signature=(
        tf.TensorSpec((None, 40, 40, 3), tf.float32), tf.TensorSpec((None,), tf.int64)
    ),
).prefetch(2)
seen = []
for images, labels in dataset:
    np.testing.assert_array_equal(images[:, 0, 0, 0], tf.cast(labels, tf.float32))
    seen.extend(labels.numpy().tolist())
assert sorted(seen) == list(range(24)), seen
print("same")
"""


@pytest.mark.parametrize(
    ("make", "depth"),
    [("convert_to_tensor", 1), ("convert_to_tensor", 3), ("constant", 1), ("dlpack", 1)],
)
def test_a_kept_tensor_never_changes_while_the_iterator_goes_on(make: str, depth: int) -> None:
    says_same(SCRIPT, make, str(depth))
