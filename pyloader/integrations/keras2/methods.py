"""`fit_generator`, `evaluate_generator` and `predict_generator` for models of Keras 3.

Functions that become methods: each takes the arguments of Keras 2's method and does its work with
`fit`, `evaluate` or `predict`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from pyloader.iterators.feeds import is_sequence, make_feed

__all__ = ["METHODS", "evaluate_generator", "fit_generator", "predict_generator"]


def fit_generator(
    self: Any,
    generator: Any,
    steps_per_epoch: float | None = None,
    epochs: int = 1,
    verbose: Any = 1,
    callbacks: Sequence[Any] | None = None,
    validation_data: Any = None,
    validation_steps: float | None = None,
    validation_freq: Any = 1,
    class_weight: Mapping[int, float] | None = None,
    max_queue_size: int = 10,
    workers: int = 1,
    use_multiprocessing: bool = False,
    shuffle: bool = True,
    initial_epoch: int = 0,
) -> Any:
    """Trains the model on batches of a generator or Sequence, as Keras 2 did.

    Batches come in passes that follow each other unbroken, whatever `steps_per_epoch` is.

    Args:
        self: The model.
        generator: A pyloader iterator, Sequence, PyDataset or generator of (inputs, targets) or
            (inputs, targets, sample_weights).
        steps_per_epoch: Batches of an epoch, fractions rounded up; None (default) or 0: the
            length of a pass.
        epochs: The number of the last epoch. Default 1.
        verbose: 0, 1 (default), 2 or "auto", as for `fit`.
        callbacks: As for `fit`.
        validation_data: What `generator` may be, or a tuple of arrays; None (default): none.
        validation_steps: Batches of a validation; None (default) or 0: the length of a pass. A
            validation begins with a new pass; a generator goes on.
        validation_freq: As for `fit`.
        class_weight: Weights by class index, as for `fit`.
        max_queue_size: Without effect, and so are `workers` and `use_multiprocessing`: pyloader
            prepares batches on threads of its own, other sources run on the calling thread.
        workers: See `max_queue_size`.
        use_multiprocessing: See `max_queue_size`.
        shuffle: Whether the batches of a Sequence come in random order. Default True.
        initial_epoch: The number of epochs done before. Default 0.

    Returns:
        Keras' History of the training.

    Raises:
        ValueError: A source without a length and no number of steps.
        TypeError: The source is no source of batches.
        RuntimeError: A generator ended too early.

    Warns:
        UserWarning: The method is deprecated, in Keras 2's words.
    """
    _warn("fit_generator", "fit")
    steps = _steps(steps_per_epoch, generator, "steps_per_epoch")
    if validation_data is None or isinstance(validation_data, (tuple, list)):
        validation: Any = validation_data
        validation_count = None
    else:
        validation_count = _steps(validation_steps, validation_data, "validation_steps")
        validation = make_feed(validation_data, steps=validation_count)
    return self.fit(
        make_feed(generator, steps=steps, shuffle=shuffle),
        steps_per_epoch=steps,
        epochs=epochs,
        verbose=verbose,
        callbacks=callbacks,
        validation_data=validation,
        validation_steps=validation_count,
        validation_freq=validation_freq,
        class_weight=class_weight,
        shuffle=False,  # the feed has done it
        initial_epoch=initial_epoch,
    )


def evaluate_generator(
    self: Any,
    generator: Any,
    steps: float | None = None,
    callbacks: Sequence[Any] | None = None,
    max_queue_size: int = 10,
    workers: int = 1,
    use_multiprocessing: bool = False,
    verbose: Any = 0,
) -> Any:
    """Evaluates the model on batches of a generator or Sequence, as Keras 2 did.

    Args:
        self: The model.
        generator: As for `fit_generator`.
        steps: Batches; more than a pass has begin another one. None (default) or 0: a pass.
        callbacks: As for `evaluate`.
        max_queue_size: Without effect, as for `fit_generator`, and so are the next two.
        workers: See `max_queue_size`.
        use_multiprocessing: See `max_queue_size`.
        verbose: 0 (default), 1, 2 or "auto".

    Returns:
        The loss, or a list of the loss and the metrics.

    Raises:
        ValueError: As for `fit_generator`, and so TypeError and RuntimeError.

    Warns:
        UserWarning: The method is deprecated, in Keras 2's words.
    """
    _warn("evaluate_generator", "evaluate")
    count = _steps(steps, generator, "steps")
    feed = make_feed(generator, steps=count)
    return self.evaluate(feed, steps=count, callbacks=callbacks, verbose=verbose)


def predict_generator(
    self: Any,
    generator: Any,
    steps: float | None = None,
    callbacks: Sequence[Any] | None = None,
    max_queue_size: int = 10,
    workers: int = 1,
    use_multiprocessing: bool = False,
    verbose: Any = 0,
) -> Any:
    """Predicts for batches of a generator or Sequence, as Keras 2 did.

    Args:
        self: The model.
        generator: As for `fit_generator`; or its batches are inputs alone. Targets are ignored.
        steps: Batches; more than a pass has begin another one. None (default) or 0: a pass.
        callbacks: As for `predict`.
        max_queue_size: Without effect, as for `fit_generator`, and so are the next two.
        workers: See `max_queue_size`.
        use_multiprocessing: See `max_queue_size`.
        verbose: 0 (default), 1, 2 or "auto".

    Returns:
        The predictions for all samples, as an array or arrays.

    Raises:
        ValueError: As for `fit_generator`, and so TypeError and RuntimeError.

    Warns:
        UserWarning: The method is deprecated, in Keras 2's words.
    """
    _warn("predict_generator", "predict")
    count = _steps(steps, generator, "steps")
    feed = make_feed(generator, steps=count, inputs_only=True)
    return self.predict(feed, steps=count, callbacks=callbacks, verbose=verbose)


METHODS = {
    "fit_generator": fit_generator,
    "evaluate_generator": evaluate_generator,
    "predict_generator": predict_generator,
}
"""The methods by name."""


def _warn(old: str, new: str) -> None:
    """Warns at the line that calls the method."""
    warnings.warn(
        f"`Model.{old}` is deprecated and will be removed in a future version. "
        f"Please use `Model.{new}`, which supports generators.",
        UserWarning,
        stacklevel=3,
    )


def _steps(steps: float | None, source: Any, name: str) -> int:
    """The number of batches; scripts divide the samples by the batch size and pass the fraction."""
    if steps:
        return math.ceil(steps)
    if is_sequence(source):
        return len(source)
    raise ValueError(
        f"`{name}={steps}` is only valid for a generator based on the `keras.utils.Sequence` "
        f"class. Please specify `{name}` or use the `keras.utils.Sequence` class."
    )
