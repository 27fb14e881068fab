"""The same fit twice, with Keras' own iterator and with ours: every loss of every step is the same.

Cases for the backend that KERAS_BACKEND names; test_keras_fit.py runs them for each.

Keras shuffles the batches of an epoch with the global `random`, and its iterator draws the first
order of the samples from NumPy's global generator, so both runs begin with the same seeds. From
the second batch on, an iterator with a seed goes its own way. What Keras draws for a picture is
reproducible on TensorFlow too, although a thread of tf.data asks for the batches there: it asks
for one at a time, and the last one of an epoch has come before Keras goes on.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from conftest import write_class_folders
from fit_tools import COUNTS, STEPS, Recorder, make_model, options, seed_everything

import pyloader

# Keras' own transforms still import from a place that SciPy deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:.*scipy.ndimage.interpolation:DeprecationWarning")

AUGMENTED = {
    "rotation_range": 20,
    "width_shift_range": 0.2,
    "height_shift_range": 0.2,
    "shear_range": 5.0,
    "zoom_range": 0.2,
    "horizontal_flip": True,
    "rescale": 1 / 255,
}
PLAIN = {"rescale": 1 / 255}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Pictures for training and for validation."""
    root = tmp_path_factory.mktemp("parity")
    training = write_class_folders(root / "training", COUNTS, seed=3)
    return training, write_class_folders(root / "validation", {"b": 4, "g": 3, "r": 4}, seed=8)


def fit(
    module: Any, folders: tuple[Path, Path], augmentation: dict[str, Any], **how: Any
) -> tuple[list[list[float]], list[float]]:
    """Trains two epochs; the losses of all steps and the validation's losses."""
    seed_everything(how.get("seed", 7))
    model = make_model(loss="categorical_crossentropy", built=how.get("built", True))
    generator = module.ImageDataGenerator(**augmentation)
    shuffle = how.get("shuffle", True)
    training = generator.flow_from_directory(folders[0], shuffle=shuffle, **options())
    validation = module.ImageDataGenerator(**PLAIN).flow_from_directory(
        folders[1], shuffle=how.get("shuffle_validation", False), **options()
    )
    recorder = Recorder()
    history = model.fit(
        training,
        validation_data=validation,
        shuffle=shuffle,
        epochs=2,
        verbose=0,
        callbacks=[recorder],
    )
    return recorder.losses, history.history["val_loss"]


@pytest.mark.parametrize("built", [True, False], ids=["built", "unbuilt"])
@pytest.mark.parametrize("shuffle", [True, False], ids=["shuffled", "in order"])
@pytest.mark.parametrize("augmentation", [PLAIN, AUGMENTED], ids=["plain", "augmented"])
def test_every_step_has_the_loss_that_it_has_with_keras_own_iterator(
    keras_image: ModuleType,
    folders: tuple[Path, Path],
    augmentation: dict[str, Any],
    shuffle: bool,
    built: bool,
) -> None:
    theirs, their_validation = fit(keras_image, folders, augmentation, shuffle=shuffle, built=built)
    ours, our_validation = fit(pyloader, folders, augmentation, shuffle=shuffle, built=built)
    assert [len(losses) for losses in theirs] == [STEPS, STEPS]
    np.testing.assert_allclose(ours, theirs, rtol=1e-4)
    np.testing.assert_allclose(our_validation, their_validation, rtol=1e-4)


def test_the_losses_tell_orders_and_transforms_apart(
    keras_image: ModuleType, folders: tuple[Path, Path]
) -> None:
    """What the case above compares would not be equal if anything were different."""
    losses = {
        name: np.array(fit(pyloader, folders, augmentation, **how)[0])
        for name, augmentation, how in [
            ("as it is", PLAIN, {}),
            ("another order of batches", PLAIN, {"seed": 8}),
            ("in order", PLAIN, {"shuffle": False}),
            ("augmented", AUGMENTED, {}),
        ]
    }
    first = losses.pop("as it is")
    for name, others in losses.items():
        assert np.abs(others / first - 1).max() > 1e-2, name


def test_the_order_of_validation_pictures_does_not_matter(
    keras_image: ModuleType, folders: tuple[Path, Path]
) -> None:
    theirs = fit(keras_image, folders, PLAIN, shuffle_validation=True)
    ours = fit(pyloader, folders, PLAIN, shuffle_validation=True)
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-4)
    np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-4)
