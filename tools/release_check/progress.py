"""What a check is: a function that raises `CheckError`, and one line about how it went."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class CheckError(Exception):
    """Something that must not be released."""


def require(holds: object, problem: str) -> None:
    """Raise `CheckError` with the problem unless something holds."""
    if not holds:
        raise CheckError(problem)


def step(title: str, check: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a check, and print its title with the seconds that it took.

    Returns:
        What the check returns.

    Raises:
        CheckError: By the check.
    """
    began = perf_counter()
    outcome = "FAILED"
    try:
        result = check(*args, **kwargs)
        outcome = "ok"
        return result
    finally:
        print(f"{outcome:<6} {perf_counter() - began:6.1f} s  {title}", flush=True)
