"""What an iterator has delivered: counts and times for `stats()`."""

from __future__ import annotations

import time
from collections import deque

__all__ = ["Deliveries"]


class Deliveries:
    """Counts what is delivered by one native loader."""

    samples: int
    """Images delivered."""
    batches: int
    """Batches delivered."""
    batch_seconds: deque[float]
    """Seconds from request to batch, of the last 1,000."""

    def __init__(self) -> None:
        self.batch_seconds = deque(maxlen=1000)
        self.restart()

    @property
    def seconds(self) -> float:
        """Wall time from the first request to the last delivery."""
        return max(0.0, self._last_delivery - self._first_request)

    def restart(self) -> None:
        """Begins anew, with the first request."""
        self.samples = self.batches = 0
        self.batch_seconds.clear()
        self._first_request = self._last_delivery = time.perf_counter()

    def add(self, samples: int, requested: float) -> None:
        """Counts one batch.

        Args:
            samples: Its images.
            requested: When it was asked for, by `time.perf_counter`.
        """
        self.samples += samples
        self.batches += 1
        self._last_delivery = time.perf_counter()
        self.batch_seconds.append(self._last_delivery - requested)
