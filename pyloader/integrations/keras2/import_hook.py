"""A finder on `sys.meta_path` that reports imports and provides modules under other names."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Collection, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

Fallback = str | Callable[[], ModuleType]
"""Another module's name, or a function that makes a module."""


class ImportHook(MetaPathFinder):
    """Calls `imported` after the import of a watched module, whose import lock is held then.

    `find_fallback` returns what to import for a name that no other finder knows, or None.
    """

    def __init__(
        self,
        watched: Collection[str],
        imported: Callable[[], object],
        find_fallback: Callable[[str], Fallback | None],
    ) -> None:
        self.running: set[str] = set()  # watched modules whose code runs at the moment
        self._watched = watched
        self._imported = imported
        self._find_fallback = find_fallback
        self._lent: dict[str, ModuleType] = {}

    def install(self) -> None:
        """Begins to watch."""
        sys.meta_path.insert(0, self)

    def remove(self) -> None:
        """Stops watching and removes the modules that it provided."""
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
        """The spec that the other finders know; else that of the fallback."""
        watched = fullname in self._watched
        real = self._find_fallback(fullname)
        parent, _, child = fullname.rpartition(".")
        if parent in self._lent:  # what is below it is the real one too, not found a second time
            lender = self._lent[parent].__name__
            real = real or (None if lender == parent else f"{lender}.{child}")
        elif watched or real is not None:
            spec = self.found_by_others(fullname, path, target)
            if spec is not None:
                if watched:
                    self._call_after(spec)
                return spec
        if real is None:
            return None
        return ModuleSpec(fullname, _LendingLoader(real, self._lent), is_package=True)

    def found_by_others(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec without this hook, or None if there is no such module."""
        for finder in sys.meta_path:
            if finder is not self and hasattr(finder, "find_spec"):
                spec = finder.find_spec(name, path, target)
                if spec is not None:
                    return spec
        return None

    def _call_after(self, spec: ModuleSpec) -> None:
        """Replaces a method of this one loader, so that it calls `imported` in the end."""
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
    """Loads a module that exists under another name, unchanged."""

    def __init__(self, real: Fallback, lent: dict[str, ModuleType]) -> None:
        self._real = real
        self._lent = lent
        self._own_spec: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """The module itself, imported if it is not yet."""
        real = self._real
        module = importlib.import_module(real) if isinstance(real, str) else real()
        self._own_spec = module.__spec__
        self._lent[spec.name] = module
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Restores the module's spec, which importing has replaced."""
        if self._own_spec is not None:
            module.__spec__ = self._own_spec
