"""The tree of errors, and the exit codes of workers."""

from __future__ import annotations

import ast
import inspect
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
    """

    error: type[SwathError]
    depth: int
    retry: bool

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
        # A private class reaches clients as the public one above it.
        timed = (classes[symbol] for symbol in self._timed() & classes.keys())
        retried = {next(each for each in error.__mro__ if each in known) for error in timed}

        def walk(error: type[SwathError], depth: int) -> Iterator[Kind]:
            yield Kind(error, depth, error in retried)
            for each in error.__subclasses__():
                if each in known:
                    yield from walk(each, depth + 1)

        return tuple(walk(SwathError, 0))

    @cached_property
    def exit_codes(self) -> dict[int, str]:
        """Exit codes that are constants with a docstring which says so, and what each says."""
        found = {code: text for module in self._sources.modules.values() for code, text in _exit_codes(module)}
        return dict(sorted(found.items()))

    def _timed(self) -> set[Symbol]:
        """Return the classes that some call gives `retry_after`."""
        calls = (
            self._sources.resolve(module.name, node.func)
            for module in self._sources.modules.values()
            for node in ast.walk(module.tree)
            if isinstance(node, ast.Call) and any(each.arg == "retry_after" for each in node.keywords)
        )
        return {symbol for symbol in calls if symbol is not None}


def _exit_codes(module: Module) -> Iterator[tuple[int, str]]:
    body = module.tree.body
    for node, after in pairwise(body):
        match node, after:
            case ast.Assign(value=ast.Constant(value=int(code))), ast.Expr(value=ast.Constant(value=str(text))):
                if text.startswith("Exit code of "):
                    words = " ".join(text.removeprefix("Exit code of ").split())
                    yield code, f"{words[:1].upper()}{words[1:]}"
