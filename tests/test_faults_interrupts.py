"""Ctrl-C between any two lines of `next()`: the batch is neither lost nor delivered twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from faults import succeeds

# Interrupts come between lines and before returns: there a signal's handler runs, too.
_INTERRUPT_EVERYWHERE = """
here = os.path.dirname(pyloader.__file__)

def interrupted_at(step, take):
    count = 0
    def trace(frame, event, argument):
        nonlocal count
        if not frame.f_code.co_filename.startswith(here):
            return None
        count += 1
        if count == step:
            raise KeyboardInterrupt
        return trace
    sys.settrace(trace)
    try:
        take()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(None)
    return False

with flow() as it:
    reference = [it.next()[0].copy() for _ in range(5)]
def deliver(it):
    return it.next() if by_next else it[2]
step = 0
interrupted = True
while interrupted:
    step += 1 if warm else 4  # the first batch plans many others, all alike
    it = flow(num_threads=1, prefetch=1)
    first = it.next() if warm else None
    interrupted = interrupted_at(step, lambda: deliver(it))
    for _ in range(2):
        number = it.total_batches_seen if by_next else 2
        np.testing.assert_array_equal(deliver(it)[0], reference[number], err_msg=str(step))
    it.close()
print(step)
"""


@pytest.mark.parametrize("by_next", [True, False], ids=["next", "by position"])
@pytest.mark.parametrize("warm", [False, True], ids=["first batch", "later batch"])
def test_an_interrupt_at_any_line_loses_no_batch_and_no_slot(
    class_folders: Path, by_next: bool, warm: bool
) -> None:
    settings = f"by_next, warm = {by_next}, {warm}\n"
    steps = int(succeeds(class_folders, settings + _INTERRUPT_EVERYWHERE))
    assert steps > 30
