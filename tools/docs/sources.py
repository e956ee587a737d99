"""The source of every installed `swath` package, found by walking, and what its names mean."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple


class Symbol(NamedTuple):
    """A name of a module; a whole module where the name is empty."""

    module: str
    name: str = ""


@dataclass(frozen=True)
class Module:
    """One module, not imported.

    Attributes:
        name: Dotted name.
        path: Its file.
    """

    name: str
    path: Path

    @cached_property
    def tree(self) -> ast.Module:
        """The parsed source."""
        return ast.parse(self.path.read_bytes())

    @property
    def is_program(self) -> bool:
        """Whether `python -m` runs it."""
        return self.name.endswith(".__main__") or any(map(_is_guard, self.tree.body))

    @cached_property
    def imports(self) -> dict[str, Symbol]:
        """What each imported name stands for, in whichever function it is imported; not those for type checkers."""
        found: dict[str, Symbol] = {}
        for node in _run_nodes(self.tree):
            if isinstance(node, ast.Import):
                for each in node.names:
                    whole = each.name if each.asname else each.name.partition(".")[0]
                    found[each.asname or whole] = Symbol(whole)
            elif isinstance(node, ast.ImportFrom) and node.module:
                for each in node.names:
                    found[each.asname or each.name] = Symbol(node.module, each.name)
        return found

    @cached_property
    def imported_modules(self) -> set[str]:
        """Modules that are imported whole: by `import a.b`, or by `importlib.import_module("a.b")`."""
        found: set[str] = set()
        for node in _run_nodes(self.tree):
            if isinstance(node, ast.Import):
                found.update(each.name for each in node.names)
            elif isinstance(node, ast.Call) and "import_module" in ast.dump(node):
                found.update(str(each.value) for each in node.args if isinstance(each, ast.Constant))
        return found


class Sources:
    """Every module of the installed packages `swath.*` and `swath_*`, without what protoc made."""

    def __init__(self) -> None:
        names = sorted(each.name for each in pkgutil.iter_modules() if each.name.startswith("swath_"))
        found = (module for name in ("swath", *names) for module in _modules(name))
        self.modules = {module.name: module for module in found}

    def resolve(self, module: str, node: ast.expr) -> Symbol | None:
        """Return what an expression such as `Name` or `package.Name` stands for in a module: where it is defined."""
        if isinstance(node, ast.Name):
            return self._origin(Symbol(module, node.id))
        if isinstance(node, ast.Attribute):
            owner = self.resolve(module, node.value)
            if owner is not None and not owner.name:
                return self._origin(Symbol(owner.module, node.attr))
        return None

    def subclasses(self, root: Symbol) -> set[Symbol]:
        """Return every class below a class, in whichever module."""
        bases = {
            Symbol(module.name, node.name): {self.resolve(module.name, base) for base in node.bases}
            for module in self.modules.values()
            for node in ast.walk(module.tree)
            if isinstance(node, ast.ClassDef)
        }
        found = {root}
        while more := {each for each, above in bases.items() if above & found} - found:
            found |= more
        return found - {root}

    def closure(self, module: str) -> set[str]:
        """Return a module and those that it imports, directly or not.

        A name that a package hands on counts as an import of the module which defines it, not of the whole package.
        """
        found: set[str] = set()
        waiting = [module]
        while waiting:
            name = waiting.pop()
            if name not in found and name in self.modules:
                found.add(name)
                each = self.modules[name]
                origins = (self._origin(symbol) for symbol in each.imports.values())
                waiting += [*each.imported_modules, *(origin.module for origin in origins)]
        return found

    def _origin(self, symbol: Symbol) -> Symbol:
        """Follow imports to where a name is defined."""
        seen: set[Symbol] = set()
        while symbol.name and symbol not in seen:
            seen.add(symbol)
            inner = f"{symbol.module}.{symbol.name}"
            if inner in self.modules:
                return Symbol(inner)
            module = self.modules.get(symbol.module)
            if module is None or symbol.name not in module.imports:
                return symbol
            symbol = module.imports[symbol.name]
        return symbol


def load(symbol: Symbol) -> object:
    """Import what a symbol names."""
    module = importlib.import_module(symbol.module)
    return getattr(module, symbol.name) if symbol.name else module


def _modules(package: str) -> Iterator[Module]:
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for path in sorted(Path(folder).rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            if not parts[-1].endswith(("_pb2", "_pb2_grpc")):
                yield Module(".".join((package, *(part for part in parts if part != "__init__"))), path)


def _run_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield all nodes but those that only type checkers see."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            waiting += node.orelse
        else:
            waiting += ast.iter_child_nodes(node)


def _is_guard(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'"
