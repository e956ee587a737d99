"""What a query says, as a tree. Each node knows the character that it is about."""

from __future__ import annotations

from dataclasses import dataclass

Scalar = float | int | str | bool | None


@dataclass(frozen=True, slots=True)
class Literal:
    """A value that stands in the query."""

    value: Scalar
    at: int


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the samples."""

    name: str
    at: int


@dataclass(frozen=True, slots=True)
class Listed:
    """Values in brackets."""

    values: tuple[Scalar, ...]
    at: int


@dataclass(frozen=True, slots=True)
class Unary:
    """`-x` or `not x`."""

    sign: str
    operand: Node
    at: int


@dataclass(frozen=True, slots=True)
class Binary:
    """`x + y`, `x < y`, `x and y`, `x in [..]`."""

    sign: str
    left: Node
    right: Node
    at: int


@dataclass(frozen=True, slots=True)
class Method:
    """`x.name(arguments)`; `x is null` is the method "isnull"."""

    name: str
    operand: Node
    arguments: tuple[Node, ...]
    at: int


Node = Literal | Column | Listed | Unary | Binary | Method
