"""What Keras 2's models had and Keras 3's have not: functions that become methods."""

from __future__ import annotations

import functools
import inspect
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pyloader.iterators.base import Iterator
from pyloader.iterators.feeds import Feed, is_sequence, make_feed
from pyloader.iterators.pair import PairIterator


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

    Epochs of the source follow each other unbroken, whatever `steps_per_epoch` is; None or 0 stands
    for the length of the source. A validation begins a new epoch of its source; a generator goes
    on. `shuffle` shuffles the batches of a Sequence. `max_queue_size`, `workers` and
    `use_multiprocessing` have no effect: our iterators prepare batches on threads of their own,
    other sources run on the calling thread. Everything else is as for `fit`.

    Raises:
        ValueError: A source without a length and no number of steps.
        TypeError: The source is no source of batches.
        RuntimeError: A generator ended too early.
    """
    _warn("fit_generator", "fit")
    steps = _steps(steps_per_epoch, generator, "steps_per_epoch")
    if validation_data is None or isinstance(validation_data, (tuple, list)):
        validation: Any = validation_data
        validation_count = None
    else:
        validation_count = _steps(validation_steps, validation_data, "validation_steps")
        validation = _feed(validation_data, steps=validation_count)
    return self.fit(
        _feed(generator, steps=steps, shuffle=shuffle),
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
    """Evaluates the model on batches of a generator or Sequence; see `fit_generator`."""
    _warn("evaluate_generator", "evaluate")
    count = _steps(steps, generator, "steps")
    feed = _feed(generator, steps=count)
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
    """Predicts for batches of a generator or Sequence, whose targets are ignored."""
    _warn("predict_generator", "predict")
    count = _steps(steps, generator, "steps")
    feed = _feed(generator, steps=count, inputs_only=True)
    return self.predict(feed, steps=count, callbacks=callbacks, verbose=verbose)


def old_methods(model: type) -> dict[str, Callable[..., Any]]:
    """The methods that a class of models needs to understand Keras 2's calls."""
    methods: dict[str, Callable[..., Any]] = {
        method.__name__: method
        for method in (fit_generator, evaluate_generator, predict_generator)
        if not hasattr(model, method.__name__)
    }
    for name in ("fit", "evaluate", "predict"):
        method = getattr(model, name)
        if "workers" not in inspect.signature(method).parameters:
            methods[name] = _with_workers(method)
    return methods


def _with_workers(method: Callable[..., Any]) -> Callable[..., Any]:
    """The method, with three more arguments that have no effect, as in Keras 2.1 to 2.15."""

    @functools.wraps(method)
    def call(
        self: Any,
        *args: Any,
        max_queue_size: int = 10,
        workers: int = 1,
        use_multiprocessing: bool = False,
        **kwargs: Any,
    ) -> Any:
        return method(self, *args, **kwargs)

    return call


def _feed(source: Any, **options: Any) -> Feed:
    return make_feed(source, ordered=isinstance(source, (Iterator, PairIterator)), **options)


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
