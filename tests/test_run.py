"""Scripts of Keras 2 run unchanged under `python -m pyloader run`, as under `python`."""

from __future__ import annotations

import os
import py_compile
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder called data: train, validation and test, red and blue."""
    pytest.importorskip("keras")
    folder = tmp_path_factory.mktemp("cars") / "data"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(EXAMPLES))
        make_data = pytest.importorskip("make_data")
        patch.setattr(make_data, "_CAMERA_SHARE", 0.0, raising=False)
        make_data.make_dataset(folder, sets={"train": 6, "validation": 2, "test": 2})
    return folder


def run(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pyloader", "run", *words],
        cwd=cwd,
        check=False,
        capture_output=True,
        text=True,
        timeout=600,
    )


def test_the_tutorial_runs_from_its_first_line_to_its_last(data: Path) -> None:
    done = run(str(EXAMPLES / "keras2_tutorial.py"), cwd=data.parent)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:4] == [
        "Found 6 images belonging to 2 classes.",
        "Found 2 images belonging to 2 classes.",
        "Found 2 images belonging to 2 classes.",
        "Batch shape=(6, 256, 256, 3), min=0.000, max=255.000",
    ]
    assert "16/16" in done.stdout
    assert "val_loss" in done.stdout
    assert "Loss=" in done.stdout
    assert lines[-1] == "Predictions=(48, 1)"
    assert done.stderr.count("is deprecated and will be removed in a future version") == 3
    assert "ran out of data" not in done.stderr


def test_generators_of_keras_2_run(data: Path) -> None:
    done = run(str(EXAMPLES / "keras2_generators.py"), str(data), "--epochs", "2")
    assert done.returncode == 0, done.stderr
    assert "epochs: 2\n" in done.stdout
    assert "metrics: 2\n" in done.stdout
    assert done.stdout.endswith("painted: (4, 64, 64, 1)\n")
    assert "ran out of data" not in done.stderr


def test_a_script_finds_what_python_would_give_it(tmp_path: Path) -> None:
    (tmp_path / "beside.py").write_text("value = 7\n")
    script = tmp_path / "script.py"
    script.write_text(
        "import os, sys\nimport beside\n"
        "print(sys.argv, __name__, __file__ == os.path.abspath(sys.argv[0]), beside.value)\n"
        "print('keras' in sys.modules)\n"
        "sys.exit(5)\n"
    )
    done = run("script.py", "-x", "--run", "a b", cwd=tmp_path)
    assert done.stdout.splitlines() == [
        "['script.py', '-x', '--run', 'a b'] __main__ True 7",
        "False",
    ]
    assert done.returncode == 5


def test_an_error_of_the_script_is_the_scripts(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text("raise KeyError('mine')\n")
    done = run(str(script))
    assert done.returncode == 1
    assert done.stderr.endswith("KeyError: 'mine'\n")


def test_a_script_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    done = run(str(tmp_path / "none.py"))
    assert done.returncode == 2
    assert done.stderr.startswith("error: there is no script")


Ended = tuple[int, str, str]


def start(
    words: list[str], cwd: Path, content: str | None = None, fds: tuple[int, ...] = ()
) -> Ended:
    """Exit status, output and errors of Python with these words."""
    done = subprocess.run(
        [sys.executable, *words],
        cwd=cwd,
        check=False,
        capture_output=True,
        text=True,
        input=content,
        pass_fds=fds,
        timeout=600,
    )
    return done.returncode, done.stdout, done.stderr


def same_both_ways(
    words: list[str], cwd: Path, content: str | None = None, flags: tuple[str, ...] = ()
) -> Ended:
    """Runs a script by `python` and by `run`, which must end alike; how they ended."""
    plain = start([*flags, *words], cwd, content)
    ours = start([*flags, "-m", "pyloader", "run", *words], cwd, content)
    assert ours == plain
    return plain


SHOW = """import sys
import types
kinds = {n: v if isinstance(v, (str, type(None))) else type(v) for n, v in globals().items()}
print({name: kind for name, kind in kinds.items() if name != "kinds"})
print(sys.argv, sys.path[0], __spec__ and __spec__.origin)
print(sys.modules["__main__"].__dict__ is globals())
"""


@pytest.mark.parametrize(
    "words",
    [
        ["show.py", "-x", "a b"],
        ["./show.py", "--", "-W"],
        ["deep/../show.py"],
        ["deep/link.py"],
        ["deep"],
        ["show.zip", "run"],
        ["show.pyc"],
        ["-", "a"],
        ["/dev/stdin"],
    ],
)
def test_a_script_sees_what_it_sees_under_python(tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "show.py").write_text(SHOW)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "__main__.py").write_text(SHOW)
    (tmp_path / "deep" / "link.py").symlink_to("../show.py")
    py_compile.compile(str(tmp_path / "show.py"), str(tmp_path / "show.pyc"))
    with zipfile.ZipFile(tmp_path / "show.zip", "w") as archive:
        archive.writestr("__main__.py", SHOW)
    content = SHOW if words[0] in ("-", "/dev/stdin") else None
    status, output, _ = same_both_ways(words, tmp_path, content)
    assert status == 0
    assert output.endswith("True\n")


@pytest.mark.parametrize("flags", [("-P",), ("-W", "error", "-X", "dev"), ("-O",)])
def test_python_s_own_flags_stay_in_force(tmp_path: Path, flags: tuple[str, ...]) -> None:
    code = "import sys; print(sys.flags, sys.warnoptions, sys._xoptions, __debug__)\n"
    (tmp_path / "flags.py").write_text(code + "print('here' in sys.path, sys.path[0][-4:])")
    status, _, errors = same_both_ways(["flags.py"], tmp_path, flags=flags)
    assert (status, errors) == (0, "")


def test_a_script_may_be_a_pipe(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    ended = []
    for words in ([], ["-m", "pyloader", "run"]):
        reader, writer = os.pipe()
        os.write(writer, SHOW.encode())
        os.close(writer)
        ended.append(start([*words, f"/dev/fd/{reader}"], tmp_path, fds=(reader,)))
        os.close(reader)
        thread = threading.Thread(target=fifo.write_text, args=[SHOW])
        thread.start()
        ended.append(start([*words, "fifo"], tmp_path))
        thread.join()
    numbered = [output.partition("/dev/fd/")[0] for _, output, _ in ended]
    assert [status for status, _, _ in ended] == [0, 0, 0, 0]
    assert numbered[0] == numbered[2]
    assert ended[1] == ended[3]


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("import sys; sys.exit(3)", 3),
        ("import sys; sys.exit('a reason')", 1),
        ("import sys; sys.exit(None)", 0),
        ("raise SystemExit(True)", 1),
        ("def f():\n    raise KeyError('mine')\nf()", 1),
        ("try:\n    1 / 0\nexcept ZeroDivisionError:\n    raise ValueError(2)", 1),
        ("raise KeyboardInterrupt", -2),
        ("print('never'\nx = = 1", 1),
        ("import sys\nsys.excepthook = lambda *found: print(found)\nsys.excepthook(1, 2, 3)", 0),
        ("import sys, traceback as t\nsys.excepthook = lambda *f: t.print_tb(f[2])\n1 / 0", 1),
        ("import os; os._exit(7)", 7),
        ("import os; os.kill(os.getpid(), 15)", -15),
        ("import atexit, sys\natexit.register(lambda: print(sys.excepthook.__name__))\n1 / 0", 1),
        ("import pyloader; raise pyloader.ImageError('not ours to print')", 1),
        ("\ufeffprint('bom')", 0),
        ("from __future__ import annotations\ndef f(x: y): pass\nprint(f.__annotations__)", 0),
        ("def f(x: int): pass\nprint(f.__annotations__, __annotations__)", 0),
    ],
)
def test_a_script_ends_as_under_python(tmp_path: Path, code: str, status: int) -> None:
    (tmp_path / "ends.py").write_text(code, encoding="utf-8")
    ended, _, errors = same_both_ways(["ends.py"], tmp_path)
    assert ended == status
    assert "pyloader/" not in errors


@pytest.mark.parametrize(
    "code",
    [
        "import os\nos.chdir('/')\nprint(open(os.path.dirname(__file__) + '/c').read())",
        "import sys, threading, time\nV = 5\n"
        "def f():\n    threading.main_thread().join()\n    print(sys.modules['__main__'].V, V)\n"
        "threading.Thread(target=f).start()",
        "import atexit, pickle\nclass C: pass\n"
        "atexit.register(lambda: print(len(pickle.loads(pickle.dumps([C()])))))",
        "import weakref\nclass C: pass\nkept = C()\nweakref.finalize(kept, print, 'finalized')",
    ],
)
def test_what_outlives_the_script_finds_its_module(tmp_path: Path, code: str) -> None:
    (tmp_path / "c").write_text("beside")
    (tmp_path / "lives.py").write_text(code)
    status, output, errors = same_both_ways(["lives.py"], tmp_path)
    assert (status, errors) == (0, "")
    assert output


@pytest.mark.parametrize(
    ("make", "status"),
    [(Path.mkdir, 1), (lambda path: path.symlink_to("nothing"), 2), (lambda path: None, 2)],
)
def test_what_is_no_script_ends_with_python_s_status(
    tmp_path: Path, make: Callable[[Path], None], status: int
) -> None:
    make(tmp_path / "script")
    plain = start(["script"], tmp_path)
    ours = start(["-m", "pyloader", "run", "script"], tmp_path)
    assert plain[:2] == ours[:2] == (status, "")
    assert ours[2].startswith("error: there is no ")
