"""Child processes of a script under `python -m pyloader run` find pyloader behind Keras too."""

from __future__ import annotations

import multiprocessing.spawn
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from pyloader.integrations.keras2 import patch

pytest.importorskip("keras")

WORK = """
import os
import sys
import numpy as np
from keras.preprocessing.image import ImageDataGenerator

def work(seed):
    it = ImageDataGenerator().flow(np.ones((8, 4, 4, 3)), batch_size=2, seed=seed)
    assert type(it).__module__.startswith("pyloader."), type(it)
    return sys.modules["__main__"].__name__, next(it).shape == (2, 4, 4, 3), len(it), seed
"""

POOL = """
import multiprocessing
if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[1])
    with multiprocessing.Pool(2) as pool:
        print(pool.map(work, [1, 2]))
"""

PRELOADED = """
import multiprocessing
if __name__ == "__main__":
    multiprocessing.set_start_method("forkserver")
    multiprocessing.set_forkserver_preload(["__main__", "worker"])
    with multiprocessing.Pool(1) as pool:
        print(pool.map(work, [1]))
"""

EXECUTOR = """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    os.chdir("/")
    with ProcessPoolExecutor(1, mp_context=context) as executor:
        print(list(executor.map(work, [1, 2])))
"""

GRANDCHILD = """
import multiprocessing
def start(depth, queue):
    if depth:
        child = context.Process(target=start, args=(depth - 1, queue))
        child.start()
        child.join()
    else:
        queue.put((work(3), sys.warnoptions, sys._xoptions))
if __name__ != "never":
    context = multiprocessing.get_context("spawn")
if __name__ == "__main__":
    queue = context.Queue()
    start(2, queue)
    print([queue.get()])
"""

JOBLIB = """
from joblib import Parallel, delayed
if __name__ == "__main__":
    def inner(seed):
        from keras.preprocessing.image import ImageDataGenerator
        return ImageDataGenerator.__module__
    print(Parallel(n_jobs=2)(delayed(inner)(seed) for seed in (1, 2)))
"""

RUN = ["-W", "ignore::UserWarning", "-X", "utf8", "-m", "pyloader", "run"]


def run(folder: Path, code: str, *arguments: str) -> str:
    """What the script of these lines prints; it must end well and in time."""
    (folder / "script.py").write_text(code)
    done = subprocess.run(
        [sys.executable, *RUN, "script.py", *arguments],
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"KERAS_BACKEND": "numpy"},
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_pool_of_any_start_method_works(tmp_path: Path, method: str) -> None:
    name = "__main__" if method == "fork" else "__mp_main__"
    expected = [(name, True, 4, seed) for seed in (1, 2)]
    assert run(tmp_path, WORK + POOL, method) == f"{expected}\n"


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_an_executor_works_after_chdir(tmp_path: Path, method: str) -> None:
    expected = [("__mp_main__", True, 4, seed) for seed in (1, 2)]
    assert run(tmp_path, WORK + EXECUTOR, method) == f"{expected}\n"


def test_a_server_may_preload_modules_with_old_imports(tmp_path: Path) -> None:
    (tmp_path / "worker.py").write_text(WORK)
    code = "from worker import *\nfrom worker import work, sys\n" + PRELOADED
    assert run(tmp_path, code) == f"{[('__mp_main__', True, 4, 1)]}\n"


def test_children_of_children_keep_python_s_flags(tmp_path: Path) -> None:
    expected = [(("__mp_main__", True, 4, 3), ["ignore::UserWarning"], {"utf8": True})]
    assert run(tmp_path, WORK + GRANDCHILD) == f"{expected}\n"


def test_the_main_module_of_a_folder_is_not_run_again_in_children(
    tmp_path: Path,
) -> None:
    package = tmp_path / "script.py"
    package.mkdir()
    (package / "worker.py").write_text(WORK)
    (package / "__main__.py").write_text("from worker import work, sys\n" + POOL)
    done = subprocess.run(
        [sys.executable, *RUN, "script.py", "spawn"],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | {"KERAS_BACKEND": "numpy"},
        timeout=300,
    )
    assert done.stdout == f"{[('__main__', True, 4, seed) for seed in (1, 2)]}\n", done.stderr


def test_the_pool_of_joblib_works(tmp_path: Path) -> None:
    pytest.importorskip("joblib")
    assert run(tmp_path, JOBLIB) == "['pyloader.generator', 'pyloader.generator']\n"


def test_the_path_for_children_reads_as_a_plain_list_and_patches() -> None:
    script = (
        "import pickle, sys\n"
        "path = {}\n"
        "assert path == ['/a', 'b\\'c'] and type(path) is list, path\n"
        "from keras.preprocessing.image import ImageDataGenerator\n"
        "print(ImageDataGenerator.__module__)\n"
    )
    path = patch._ChildPath(["/a", "b'c"])
    for source in (repr(path), f"pickle.loads({pickle.dumps(path)!r})"):
        done = subprocess.run(
            [sys.executable, "-c", script.format(source)],
            check=False,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.stdout == "pyloader.generator\n", done.stderr


def test_only_run_reaches_for_child_processes() -> None:
    before = multiprocessing.spawn.get_preparation_data
    patch.patch_keras()
    assert multiprocessing.spawn.get_preparation_data is before
    patch.unpatch_keras()
    patch.patch_for_run()
    try:
        data = multiprocessing.spawn.get_preparation_data("name")
        assert isinstance(data["sys_path"], patch._ChildPath)
    finally:
        patch.unpatch_keras()
    assert multiprocessing.spawn.get_preparation_data is before
