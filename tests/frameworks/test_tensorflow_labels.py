"""Targets of image_dataset_from_directory are the tensors that Keras makes on TensorFlow."""

from needs import needs
from tensorflow_script import says_same

needs("keras", "tensorflow")

SCRIPT = """
import numpy as np
from keras.src.utils.dataset_utils import labels_to_dataset_tf
from pyloader._data.labels import dataset_targets

f4, f8 = np.float32, np.float64
CASES = [
    [2**40, 2], [2**31, 2], [2**31 - 1, 2], [-(2**31) - 1, 2], [2**63, 1], [-5, 3], [3, 7], [1, 0],
    [True, False], [True, 2], [1, True], [np.True_, np.False_], [0.5, 1.5], [1, 2.5], [2.5, 1],
    [float("nan"), 1.0], [1e300, 1.0], [16777217, 3], [16777217, 0.5], [f8(0.1), 1.5],
    [f4(0.5), f4(1)], ["x", "yy"], [b"x", b"yy"], [np.str_("x"), "y"], [np.int64(1), np.int64(2)],
    [np.int64(2**40), 1], [np.uint8(1), 2], [np.uint64(2**63), np.uint64(1)],
]
for mode in ("int", "binary", "categorical"):
    for labels in CASES:
        try:
            rows = list(labels_to_dataset_tf(labels, mode, 2).batch(2).as_numpy_iterator())
            theirs = rows[0]
        except Exception as error:
            theirs = error
        try:
            ours = dataset_targets(labels, mode, 2)
        except (TypeError, ValueError) as error:
            ours = error
        if isinstance(theirs, Exception):
            ok = isinstance(ours, Exception)
            if isinstance(theirs, (TypeError, ValueError)):
                ok = ok and type(ours) is type(theirs)
        else:
            ok = getattr(ours, "dtype", None) == theirs.dtype
            ok = ok and str(ours.tolist()) == str(theirs.tolist())  # nan is nan
        assert ok, (mode, labels, theirs, ours)
print("same")
"""


def test_labels_of_every_kind_become_what_keras_makes_of_them() -> None:
    says_same(SCRIPT)
