"""`python -m pyloader run`: a script as Python would run it, with pyloader behind Keras."""

from __future__ import annotations

import builtins
import contextlib
import importlib.util
import marshal
import pkgutil
import sys
from collections.abc import Sequence
from importlib.machinery import BuiltinImporter, SourceFileLoader, SourcelessFileLoader
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from pyloader.integrations.keras2.patch import patch_for_run


def run_script(script: str, arguments: Sequence[str]) -> None:
    """Runs a script as `__main__`, with `sys.argv` and `sys.path` as Python sets them.

    The module stays `__main__` and Keras stays patched afterwards, for threads and exit handlers.

    Args:
        script: A file, a pipe, a folder or archive with a `__main__.py`, or "-" for standard input.
        arguments: What the script finds in `sys.argv[1:]`.

    Raises:
        SystemExit: The script cannot be read, or it ends so.
        BaseException: Whatever the script raises.
    """
    path = script  # as Python writes it into `__file__`: absolute, else as it was given
    if script != "-" and not Path(script).is_absolute():
        path = f"{Path.cwd()}/{script}"
    importer: Any = None if script == "-" else pkgutil.get_importer(path)
    main = ModuleType("__main__")
    vars(main).update(__annotations__={}, __builtins__=builtins)
    content = b""
    if importer is None:
        content = _read(main, path)
    patch_for_run()
    sys.argv[:] = [script, *arguments]
    if not sys.flags.safe_path:  # else Python adds no folder of its own
        del sys.path[0]
    if importer is not None or not sys.flags.safe_path:
        sys.path.insert(0, path if importer is not None else _folder_of(script))
    sys.modules["__main__"] = main
    try:
        exec(_compile_package(main, importer) if importer else _compile(main, content), vars(main))
    except BaseException as error:
        _hide_our_frames(error)
        raise


def _read(main: ModuleType, path: str) -> bytes:
    """Reads a script and describes it in its module."""
    if path == "-":
        vars(main).update(__file__="<stdin>", __cached__=None, __loader__=BuiltinImporter)
        return sys.stdin.buffer.read()
    try:
        content = Path(path).read_bytes()  # may be a pipe: read once
    except OSError as error:
        print(f"error: there is no script {path}: {error.strerror}", file=sys.stderr)
        sys.exit(2)
    compiled = content.startswith(importlib.util.MAGIC_NUMBER)
    loader = (SourcelessFileLoader if compiled else SourceFileLoader)("__main__", path)
    vars(main).update(__file__=path, __cached__=None, __loader__=loader)
    return content


def _compile(main: ModuleType, content: bytes) -> Any:
    if isinstance(main.__loader__, SourcelessFileLoader):
        return marshal.loads(content[16:])  # after the header of a .pyc
    return compile(content, str(main.__file__), "exec", dont_inherit=True)


def _compile_package(main: ModuleType, importer: Any) -> Any:
    """The code of `__main__.py` in a folder or an archive."""
    spec = importer.find_spec("__main__")
    if spec is None:
        sys.exit(f"error: there is no __main__.py in {sys.path[0]}")
    vars(main).update(
        __file__=spec.origin,
        __cached__=spec.cached,
        __loader__=spec.loader,
        __package__="",
        __spec__=spec,
    )
    return spec.loader.get_code("__main__")


def _folder_of(script: str) -> str:
    """The folder that Python puts into `sys.path`: the one of the file that a link names."""
    if script == "-":
        return ""
    file = Path(script)
    with contextlib.suppress(OSError):
        file = file.parent / file.readlink()
    with contextlib.suppress(OSError):  # a pipe
        file = file.resolve(strict=True)
    return str(file.parent)


def _hide_our_frames(error: BaseException) -> None:
    """Has `sys.excepthook`, which may be the script's own, see the script's frames only."""
    hook = sys.excepthook
    traceback = error.__traceback__
    while traceback and traceback.tb_frame.f_code.co_filename == __file__:
        traceback = traceback.tb_next

    def excepthook(
        kind: type[BaseException], value: BaseException, found: TracebackType | None
    ) -> None:
        sys.excepthook = hook
        if value is error:
            found = traceback
            value = value.with_traceback(found)
        hook(kind, value, found)

    sys.excepthook = excepthook
