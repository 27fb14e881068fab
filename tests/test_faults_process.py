"""Signals, exits and the end of the interpreter, with batches under way: quick, quiet, no hang."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
from faults import PATIENCE, run, script, succeeds
from PIL import Image

_STREAMING = """
it = flow(num_threads=3)
kept = [it.next() for _ in range(5)]
print("ready", flush=True)
while True:
    kept = [it.next(), *kept[:4]]
"""

_WAITING = """
entered = threading.Event()
def wait_for_ever(image):
    entered.set()
    threading.Event().wait()
it = flow(wait_for_ever, num_threads=2)
def tell():
    entered.wait()
    print("ready", flush=True)
threading.Thread(target=tell, daemon=True).start()
"""


def _signalled(folder: Path, code: str, number: signal.Signals) -> tuple[int, str, str]:
    """Runs a script that says "ready" and sends it a signal; its status, output and errors."""
    with subprocess.Popen(
        script(folder, code), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            process.send_signal(number)
            out, err = process.communicate(timeout=PATIENCE)
        finally:
            process.kill()  # if it is still there
    return process.returncode, out, err


@pytest.mark.parametrize("code", [_STREAMING, _WAITING + "it.next()"], ids=["busy", "waiting"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_signal_that_ends_a_process_ends_this_one(
    class_folders: Path, code: str, number: signal.Signals
) -> None:
    assert _signalled(class_folders, code, number) == (-number, "", "")


def test_ctrl_c_in_a_script_is_a_traceback_that_ends_in_keyboardinterrupt(
    class_folders: Path,
) -> None:
    status, _, err = _signalled(class_folders, _STREAMING, signal.SIGINT)
    assert status == -signal.SIGINT
    assert err.splitlines()[-1] == "KeyboardInterrupt"


def test_ctrl_c_gets_through_a_function_that_never_returns(class_folders: Path) -> None:
    code = """
try:
    it.next()
except KeyboardInterrupt:
    print("interrupted", flush=True)
    os._exit(130)  # no other exit gets past a thread that never ends
"""
    expected = (130, "interrupted\n", "")
    assert _signalled(class_folders, _WAITING + code, signal.SIGINT) == expected


def test_a_handler_of_sigterm_runs_during_a_wait_and_its_exit_is_obeyed(
    class_folders: Path,
) -> None:
    """As in clusters: the handler ends the program, its `finally` blocks save what there is."""
    code = """
import time
def slow(image):
    entered.set()
    while not leave.is_set():
        time.sleep(0.001)
    return image
entered, leave = threading.Event(), threading.Event()
def end(number, frame):
    leave.set()
    sys.exit(43)
signal.signal(signal.SIGTERM, end)
def tell():
    entered.wait()
    print("ready", flush=True)
threading.Thread(target=tell, daemon=True).start()
it = flow(slow, num_threads=2)
try:
    it.next()
finally:
    print("seen", it.total_batches_seen, len(it.next()[0]))
"""
    assert _signalled(class_folders, code, signal.SIGTERM) == (43, "seen 0 4\n", "")


def test_after_ctrl_c_the_same_process_gets_the_same_batch(class_folders: Path) -> None:
    code = """
reference = [images for images, _ in flow().epoch()]
leave = threading.Event()
def slow(image):
    entered.set()
    leave.wait()
    return image
entered = threading.Event()
def tell():
    entered.wait()
    print("ready", flush=True)
threading.Thread(target=tell, daemon=True).start()
it = flow(slow)
try:
    it.next()
except KeyboardInterrupt:
    print("interrupted")
leave.set()
for batch in reference:
    assert (it.next()[0] == batch).all()
"""
    assert _signalled(class_folders, code, signal.SIGINT) == (0, "interrupted\n", "")


@pytest.mark.parametrize("options", ["", "cache='memory'", "lambda image: image + 1"])
def test_os_exit_ends_at_once_with_batches_under_way(class_folders: Path, options: str) -> None:
    code = f"""
its = [flow({options}) for _ in range(4)]
kept = [it.next() for it in its]
os._exit(7)
"""
    done = run(class_folders, code)
    assert (done.returncode, done.stdout, done.stderr) == (7, "", "")


ENDS = {
    "leases are alive": """
its = [flow(num_threads=3) for _ in range(3)]
sys.kept = [it.next() for it in its for _ in range(4)]
""",
    "an iterator is in a cycle": """
class Owner:
    pass
for _ in range(5):
    owner = Owner()
    owner.it, owner.self = flow(), owner
    owner.batch = owner.it.next()
gc.disable()
""",
    "a daemon thread takes batches": """
it, begun = flow(), threading.Event()
def take():
    while True:
        try:
            it.next()
        except RuntimeError as error:  # it was closed, as the interpreter ends
            assert "is closed" in str(error), error
            return
        begun.set()
threading.Thread(target=take, daemon=True).start()
begun.wait()
""",
    "daemon threads take batches of the user's Python": """
begun = threading.Event()
def take(it):
    try:
        while True:
            it.next()
            begun.set()
    except RuntimeError as error:
        assert "is closed" in str(error), error
for _ in range(3):
    it = flow(lambda image: image + 1, num_threads=3)
    threading.Thread(target=take, args=(it,), daemon=True).start()
begun.wait()
""",
    "an exit handler wants more": """
it = flow()
it.next()
def at_exit():
    try:
        it.next()  # closed already, as its handler was registered later
    except RuntimeError as error:
        print(error)
    with flow() as other:
        print(len(other.next()[0]))
    flow().next()  # and is never closed
atexit.register(at_exit)
""",
    "an earlier exit handler wants more": """
def at_exit():
    try:
        it.next()
    except RuntimeError as error:
        print("closed" in str(error))
    kept.append(flow().next())
kept = []
atexit.register(at_exit)
it = flow()
it.next()
""",
    "an object's end wants more": """
class Trainer:
    def __init__(self):
        self.it = flow()
        self.it.next()
    def __del__(self):
        try:
            self.it.next()
        except RuntimeError:
            pass
sys.trainer = Trainer()
""",
    "sys.exit is called in mid-epoch": """
it = flow(lambda image: image + 1, num_threads=3)
for number, batch in enumerate(it):
    if number == 3:
        sys.exit(0)
""",
}


_MAKERS = """
import time
def take(function):
    while True:
        try:
            it = flow(function, num_threads=4)
            for _ in range(3):
                it.next()
                begun.set()
        except RuntimeError as error:
            text = str(error)
            assert "is closed" in text or "interpreter is shutting down" in text, text
def slow(image):
    time.sleep(0.0002)
    return image + 1
class SlowEnd:
    def __del__(self):
        time.sleep(0.001)  # gives every thread its chance to be where it should not
begun = threading.Event()
sys.kept = [SlowEnd() for _ in range(100)]
for _ in range(5):
    threading.Thread(target=take, args=({function},), daemon=True).start()
begun.wait()
"""


@pytest.mark.parametrize("function", ["slow", "None"])
def test_the_interpreter_ends_quietly_while_daemon_threads_make_iterators(
    tmp_path: Path, function: str
) -> None:
    """With the user's Python and, for files other than JPEG, OpenCV's C++ on the pool's threads."""
    for name in "abcdefgh":
        (tmp_path / "a").mkdir(exist_ok=True)
        picture = np.random.default_rng(0).integers(0, 256, (90, 80, 3), np.uint8)
        Image.fromarray(picture).save(tmp_path / "a" / f"{name}.png")
    for _ in range(4):
        succeeds(tmp_path, _MAKERS.format(function=function))


def test_an_exit_handlers_iterator_prepares_nothing_that_is_not_asked_for(
    class_folders: Path,
) -> None:
    code = """
def count(image):
    images.append(image)
    return image
images = []
def at_exit():
    for it in (flow(count), flow(count)):
        kept.append([it.next(), it[1]])
        kept.append(it)
    print(len(images))
kept = []
atexit.register(at_exit)
flow().close()
"""
    assert succeeds(class_folders, code) == "16\n"


@pytest.mark.parametrize("name", ENDS)
def test_the_interpreter_ends_quietly_while(class_folders: Path, name: str) -> None:
    for _ in range(2):
        succeeds(class_folders, ENDS[name])


def test_an_error_that_nobody_catches_is_the_last_line(class_folders: Path, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "bad.jpg").write_bytes(b"")
    done = run(tmp_path, "its = [flow() for _ in range(3)]\nfor it in its: it.next()")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"pyloader.errors.ImageError: cannot load image {str(tmp_path / 'a' / 'bad.jpg')!r}: "
        "the file is empty. Remove or replace the file."
    )


def test_a_child_of_a_fork_that_ends_by_exit_leaves_the_parent_alone(class_folders: Path) -> None:
    code = """
it = flow(num_threads=3)
reference = [batch for batch, _ in flow().epoch()]
assert (it.next()[0] == reference[0]).all()
for how in (os._exit, sys.exit):
    child = os.fork()
    if child == 0:
        assert (it.next()[0] == reference[1]).all()
        how(5)  # with batches under way
    assert os.waitpid(child, 0)[1] == 5 << 8
for batch in reference[1:]:
    assert (it.next()[0] == batch).all()
"""
    # From 3.12 on Python itself warns of a fork beside other threads.
    succeeds(class_folders, "warnings.simplefilter('ignore', DeprecationWarning)\n" + code)
