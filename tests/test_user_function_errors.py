"""An exception of the user's function, kept and looked at while the pool works on."""

from pathlib import Path

import numpy as np
import pytest

from pyloader import ImageDataGenerator


def test_an_exception_may_be_kept_while_statistics_are_read(class_folders: Path) -> None:
    def fail(image: np.ndarray) -> np.ndarray:
        raise ValueError("no")

    batches = ImageDataGenerator(preprocessing_function=fail).flow_from_directory(
        class_folders, batch_size=4, target_size=(8, 8), seed=1, verbose=False, num_threads=3
    )
    kept = []
    for _ in range(60):
        with pytest.raises(ValueError, match=r"no \[image: ") as caught:
            batches.next()
        kept.append(caught.value)
        assert batches.stats().errors > 0
    assert len({id(error) for error in kept}) == len(kept)
