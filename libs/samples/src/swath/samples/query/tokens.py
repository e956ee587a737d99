"""The words of a query, each with its place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from swath.samples.query.errors import invalid

_LONGEST = 10_000
"""Characters of a query."""
_PATTERN = re.compile(
    r"""(?P<space>\s+)
    |(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
    |(?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    |(?P<column>`[^`]*`)
    |(?P<name>[^\W\d]\w*)
    |(?P<sign>==|!=|<>|<=|>=|//|\*\*|&&|\|\||[-+*/%<>=()\[\],.&|~!:])""",
    re.VERBOSE,
)
_ESCAPE = re.compile(r"\\(.)")


class Kind(Enum):
    """What a word is, as people call it."""

    NUMBER = "a number"
    TEXT = "a text"
    COLUMN = "a column"
    NAME = "a name"
    SIGN = "a sign"
    END = "the end"


@dataclass(frozen=True, slots=True)
class Token:
    """One word.

    Attributes:
        kind: What it is.
        text: The word itself; of a text or a column in back-ticks what is within.
        at: Its first character, from 0.
    """

    kind: Kind
    text: str
    at: int

    def __str__(self) -> str:
        return self.kind.value if self.kind is Kind.END else f"{self.text!r}"


def tokens(query: str) -> list[Token]:
    """Return the words of a query; the last one is its end.

    Raises:
        QueryInvalid: A character begins no word, a text or a column has no end, or there is too much of it.
    """
    if len(query) > _LONGEST:
        raise invalid(query, _LONGEST, f"a query has at most {_LONGEST} characters, got {len(query)}")
    found, at = [], 0
    while at < len(query):
        match = _PATTERN.match(query, at)
        if match is None:
            unclosed = {"'": "text", '"': "text", "`": "column"}.get(query[at])
            what = f"this {unclosed} has no closing {query[at]}" if unclosed else f"expected a word, got {query[at]!r}"
            raise invalid(query, at, what)
        text, at_next = match.group(), match.end()
        match match.lastgroup:
            case "number":
                found.append(Token(Kind.NUMBER, text, at))
            case "text":
                found.append(Token(Kind.TEXT, _ESCAPE.sub(r"\1", text[1:-1]), at))
            case "column":
                found.append(Token(Kind.COLUMN, text[1:-1], at))
            case "name":
                found.append(Token(Kind.NAME, text, at))
            case "sign":
                found.append(Token(Kind.SIGN, text, at))
        at = at_next
    return [*found, Token(Kind.END, "", len(query))]
