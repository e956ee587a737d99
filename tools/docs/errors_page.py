"""The page of errors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc

from swath.client.errors import call_error
from tools.docs import markdown
from tools.docs.errors import Errors, Kind

_REPEAT = {
    "INVALID_ARGUMENT": "no: change the request",
    "NOT_FOUND": "no",
    "FAILED_PRECONDITION": "once the state is another",
    "PERMISSION_DENIED": "no",
    "RESOURCE_EXHAUSTED": "after the time in RetryInfo; without one, once something is freed",
    "ABORTED": "yes: read again, then repeat",
    "ALREADY_EXISTS": "no",
    "UNAVAILABLE": "yes, after the time in RetryInfo or a pause; a change whose outcome is unknown after a look",
    "UNIMPLEMENTED": "no",
    "UNAUTHENTICATED": "with other credentials",
    "DEADLINE_EXCEEDED": "with more time, if the call may be done twice",
    "DATA_LOSS": "no: an operator has to look",
    "INTERNAL": "no: an operator has to look",
    "CANCELLED": "if it is still wanted",
}


class _Answer:
    """A failed call, as the client sees one."""

    def __init__(self, code: str) -> None:
        self._code = grpc.StatusCode[code]

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str:
        return ""

    def trailing_metadata(self) -> tuple[Any, ...]:
        return ()


def render(errors: Errors) -> str:
    """Return the page."""
    tree = errors.tree
    codes = sorted({each.error.code for each in tree}, key=lambda code: grpc.StatusCode[code].value[0])
    exits = (f"| {code} | worker of a run | {text} |" for code, text in errors.exit_codes.items())
    return markdown.page(
        "errors.md",
        codes=markdown.table(("status", "class in `swath.client`", "repeat the call?"), map(_code, codes)),
        tree="\n".join(("```text", *_drawn(tree), "```")),
        reasons=markdown.table(("reason", "status", "class", "metadata", "RetryInfo", "meaning"), map(_row, tree)),
        exits="\n".join(exits),
    )


def _code(code: str) -> tuple[str, str, str]:
    return (
        f"`{code}` ({grpc.StatusCode[code].value[0]})",
        f"`{type(call_error(_Answer(code))).__name__}`",
        _REPEAT[code],
    )


def _row(kind: Kind) -> tuple[str, ...]:
    error = kind.error
    names = f"`{error.reason}`", f"`{error.code}`", f"`{error.__name__}`"
    return *names, ", ".join(f"`{key}`" for key in sorted(kind.metadata)), "may" if kind.retry else "", kind.text


def _drawn(tree: tuple[Kind, ...]) -> Iterator[str]:
    """Yield a line for each class, with the status where it is another than that of the class above."""
    open_levels: list[bool] = []
    for index, each in enumerate(tree):
        rest = [other.depth for other in tree[index + 1 :]]
        below = next((place for place, depth in enumerate(rest) if depth < each.depth), len(rest))
        last = each.depth not in rest[:below]
        open_levels[each.depth - 1 :] = [not last] if each.depth else []
        stem = "".join("│   " if more else "    " for more in open_levels[:-1])
        branch = ("├── " if open_levels[-1] else "└── ") if each.depth else ""
        above = each.error.__mro__[1]
        code = each.error.code if each.error.code != getattr(above, "code", "") else ""
        yield f"{stem}{branch}{each.error.__name__:<{32 - 4 * each.depth}}{code}".rstrip()
