"""The tree of errors, and the exit codes of workers."""

from __future__ import annotations

import ast
import inspect
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

from swath.errors import SwathError
from tools.docs.sources import Module, Sources, Symbol, load


@dataclass(frozen=True)
class Kind:
    """A class of errors.

    Attributes:
        error: The class.
        depth: How many classes of the tree are above it.
        retry: Whether some code gives it a time after which to repeat the call.
        metadata: Keys that some code gives its metadata.
    """

    error: type[SwathError]
    depth: int
    retry: bool
    metadata: frozenset[str]

    @property
    def text(self) -> str:
        """What it means."""
        return inspect.cleandoc(self.error.__doc__ or "").partition("\n\n")[0]


class Errors:
    """The classes of errors that reach clients.

    Args:
        sources: The packages.
    """

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._root = Symbol(SwathError.__module__, SwathError.__name__)

    @cached_property
    def tree(self) -> tuple[Kind, ...]:
        """Every public class, each after the one that it is a kind of."""
        below = self._sources.subclasses(self._root)
        classes: dict[Symbol, Any] = {each: load(each) for each in sorted({self._root, *below})}
        known = [error for error in classes.values() if not error.__name__.startswith("_")]
        retried: set[type[SwathError]] = set()
        metadata: dict[type[SwathError], set[str]] = defaultdict(set)
        for symbol, call in self._calls():
            if symbol in classes:
                # A private class reaches clients as the public one above it.
                error = next(each for each in classes[symbol].__mro__ if each in known)
                given = {each.arg: each.value for each in call.keywords}
                metadata[error].update(_keys(given.get("metadata")))
                if "retry_after" in given:
                    retried.add(error)

        def walk(error: type[SwathError], depth: int) -> Iterator[Kind]:
            yield Kind(error, depth, error in retried, frozenset(metadata[error]))
            for each in error.__subclasses__():
                if each in known:
                    yield from walk(each, depth + 1)

        return tuple(walk(SwathError, 0))

    @cached_property
    def exit_codes(self) -> dict[int, str]:
        """Exit codes that are constants with a docstring which says so, and what each says."""
        found = {code: text for module in self._sources.modules.values() for code, text in _exit_codes(module)}
        return dict(sorted(found.items()))

    def _calls(self) -> Iterator[tuple[Symbol, ast.Call]]:
        """Yield every call of something that has a name, and the name."""
        for module in self._sources.modules.values():
            for node in ast.walk(module.tree):
                if isinstance(node, ast.Call) and (symbol := self._sources.resolve(module.name, node.func)) is not None:
                    yield symbol, node


def _keys(value: ast.expr | None) -> Iterator[str]:
    """Yield the keys of a dictionary that is written out."""
    if isinstance(value, ast.Dict):
        yield from (key.value for key in value.keys if isinstance(key, ast.Constant) and isinstance(key.value, str))


def _exit_codes(module: Module) -> Iterator[tuple[int, str]]:
    body = module.tree.body
    for node, after in pairwise(body):
        match node, after:
            case ast.Assign(value=ast.Constant(value=int(code))), ast.Expr(value=ast.Constant(value=str(text))):
                if text.startswith("Exit code of "):
                    words = " ".join(text.removeprefix("Exit code of ").split())
                    yield code, f"{words[:1].upper()}{words[1:]}"
