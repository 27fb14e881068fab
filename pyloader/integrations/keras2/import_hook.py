"""A finder on `sys.meta_path`: says when a module has been imported, and lends names to others."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Collection, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

__all__ = ["ImportHook"]

_Real = str | Callable[[], ModuleType]


class ImportHook(MetaPathFinder):
    """Watches imports between `install` and `remove`.

    Args:
        watched: Names of modules; after one of them was imported, `imported` is called.
        imported: Called without arguments, with the import lock of that module held.
        stands_for: Says what a name that nothing else provides stands for: another module's name,
            a function that makes a module, or None for nothing.
    """

    running: set[str]
    """Watched modules whose code runs at the moment."""

    def __init__(
        self,
        watched: Collection[str],
        imported: Callable[[], object],
        stands_for: Callable[[str], _Real | None],
    ) -> None:
        self.running = set()
        self._watched = watched
        self._imported = imported
        self._stands_for = stands_for
        self._lent: dict[str, ModuleType] = {}

    def install(self) -> None:
        """Begins to watch."""
        sys.meta_path.insert(0, self)

    def remove(self) -> None:
        """Stops watching and takes the names back that were lent."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        for name, module in self._lent.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]
            parent_name, _, child = name.rpartition(".")
            parent = sys.modules.get(parent_name)
            # Importing set it on the parent; where the parent is the real one it belongs there.
            belongs = parent is not None and f"{parent.__name__}.{child}" == module.__name__
            if parent is not None and not belongs and vars(parent).get(child) is module:
                delattr(parent, child)
        self._lent.clear()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Asks the other finders, then looks whether the name stands for another module."""
        watched = fullname in self._watched
        real = self._stands_for(fullname)
        parent, _, child = fullname.rpartition(".")
        if parent in self._lent:  # what is below it is the real one too, not found a second time
            real = real or f"{self._lent[parent].__name__}.{child}"
        elif watched or real is not None:
            spec = self.found_by_others(fullname, path, target)
            if spec is not None:
                if not watched:
                    return None
                self._call_after(spec)
                return spec
        if real is None:
            return None
        return ModuleSpec(fullname, _LendingLoader(real, self._lent), is_package=True)

    def found_by_others(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """What would be imported without this hook; None where there is no such module."""
        for finder in sys.meta_path:
            if finder is not self and hasattr(finder, "find_spec"):
                spec = finder.find_spec(name, path, target)
                if spec is not None:
                    return spec
        return None

    def _call_after(self, spec: ModuleSpec) -> None:
        """Has this one loader object call `imported` once its module has run."""
        loader = spec.loader
        if loader is None:
            return
        run = loader.exec_module

        def exec_module(module: ModuleType) -> None:
            vars(loader).pop("exec_module", None)
            self.running.add(spec.name)
            try:
                run(module)
            finally:
                self.running.discard(spec.name)
            self._imported()

        loader.exec_module = exec_module  # type: ignore[method-assign]


class _LendingLoader(Loader):
    """Enters a module that exists under another name, unchanged."""

    def __init__(self, real: _Real, lent: dict[str, ModuleType]) -> None:
        self._real = real
        self._lent = lent
        self._own_spec: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The real module, imported where it is not yet."""
        real = self._real
        module = importlib.import_module(real) if isinstance(real, str) else real()
        self._own_spec = module.__spec__
        self._lent[spec.name] = module
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Gives the module its spec back, which importing has replaced."""
        if self._own_spec is not None:
            module.__spec__ = self._own_spec
