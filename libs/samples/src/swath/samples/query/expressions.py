"""Trees of queries as expressions of Polars, after their types have been checked.

As in pandas, a comparison with what is missing (null or not a number) is false, and `!=` is true.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from enum import Enum

import polars as pl

from swath.errors import QueryInvalid
from swath.samples.query.errors import invalid
from swath.samples.query.nodes import Binary, Column, Listed, Literal, Method, Node, Scalar, Unary
from swath.samples.query.parser import Query


class Type(Enum):
    """What values of a column or an expression are, as people call it."""

    NUMBER = "a number"
    TEXT = "a text"
    TRUTH = "true or false"
    MISSING = "null"


_Typed = tuple[pl.Expr, Type]

_COMPARE: dict[str, Callable[[pl.Expr, pl.Expr], pl.Expr]] = {
    "<": pl.Expr.__lt__,
    "<=": pl.Expr.__le__,
    ">": pl.Expr.__gt__,
    ">=": pl.Expr.__ge__,
    "==": pl.Expr.__eq__,
    "!=": pl.Expr.__ne__,
}
_COMPUTE: dict[str, Callable[[pl.Expr, pl.Expr], pl.Expr]] = {
    "+": pl.Expr.__add__,
    "-": pl.Expr.__sub__,
    "*": pl.Expr.__mul__,
    "/": pl.Expr.__truediv__,
    "//": pl.Expr.__floordiv__,
    "%": pl.Expr.__mod__,
    "**": pl.Expr.__pow__,
}


def type_of(kind: pl.DataType) -> Type:
    """Return what values of a column of this type are."""
    if kind == pl.Boolean:
        return Type.TRUTH
    return Type.NUMBER if kind.is_numeric() else Type.TEXT


def condition(query: Query, schema: Mapping[str, pl.DataType]) -> pl.Expr | None:
    """Return the condition of a query, which is true or false and never null; None where all samples are wanted.

    One that names no column is the same for all: it is to be evaluated beside columns, not alone.

    Args:
        query: The query.
        schema: The samples' columns and their types.

    Raises:
        QueryInvalid: There is no such column or method, or types do not fit. The text says where and what would.
    """
    if query.where is None:
        return None
    compiler = _Compiler(query.text, schema)
    expression, kind = compiler.compiled(query.where)
    if kind is not Type.TRUTH:
        raise invalid(query.text, query.where.at, f"expected a condition, got {kind.value}")
    return expression.fill_null(value=False)


def sort_columns(query: Query, schema: Mapping[str, pl.DataType]) -> tuple[list[str], list[bool]]:
    """Return the columns to sort by, and for each whether it is sorted downwards.

    Raises:
        QueryInvalid: There is no such column.
    """
    compiler = _Compiler(query.text, schema)
    return [compiler.known(order.column) for order in query.order], [order.descending for order in query.order]


class _Compiler:
    def __init__(self, text: str, schema: Mapping[str, pl.DataType]) -> None:
        self._text = text
        self._schema = schema

    def known(self, column: Column) -> str:
        """Return a column's name, which is one of the samples'."""
        if column.name in self._schema:
            return column.name
        near = difflib.get_close_matches(column.name, self._schema, n=3, cutoff=0.5)
        hint = f"; the nearest: {', '.join(f'`{name}`' for name in near)}" if near else ""
        raise self._wrong(column, f"there is no column {column.name!r}{hint}")

    def compiled(self, node: Node) -> _Typed:
        match node:
            case Literal(value):
                return pl.lit(value), _type_of_value(value)
            case Column():
                name = self.known(node)
                kind = self._schema[name]
                column = pl.col(name)
                if kind.is_float():
                    column = column.fill_nan(None)
                elif type_of(kind) is Type.TEXT and kind != pl.String:
                    column = column.cast(pl.String)
                return column, type_of(kind)
            case Listed():
                raise self._wrong(node, "values in brackets stand after 'in' alone")
            case Unary("not", operand):
                return self._expected(operand, Type.TRUTH, "not").fill_null(value=False).not_(), Type.TRUTH
            case Unary(_, operand):
                return -self._expected(operand, Type.NUMBER, "-"), Type.NUMBER
            case Binary("and" | "or" as word, left, right):
                one = self._expected(left, Type.TRUTH, word).fill_null(value=False)
                other = self._expected(right, Type.TRUTH, word).fill_null(value=False)
                return (one & other if word == "and" else one | other), Type.TRUTH
            case Binary("in", left, Listed() as listed):
                return self._among(left, listed)
            case Binary(sign, left, right) if sign in _COMPARE:
                return self._compared(node, sign, left, right)
            case Binary(sign, left, right):
                return self._computed(sign, left, right)
            case Method():
                return self._called(node)

    def _expected(self, node: Node, kind: Type, before: str) -> pl.Expr:
        return self._checked(self.compiled(node), node, kind, before)

    def _checked(self, typed: _Typed, node: Node, kind: Type, before: str) -> pl.Expr:
        expression, found = typed
        if found is Type.MISSING:
            return pl.lit(None)
        if found is not kind:
            raise self._wrong(node, f"{before!r} takes {kind.value}, got {found.value}")
        return expression

    def _compared(self, node: Binary, sign: str, left: Node, right: Node) -> _Typed:
        (one, one_type), (other, other_type) = self.compiled(left), self.compiled(right)
        if Type.MISSING in (one_type, other_type):
            # Nothing equals what is missing; people who write it ask for what is missing.
            if sign not in ("==", "!="):
                raise self._wrong(node, f"{sign!r} does not compare with null")
            asked = one if other_type is Type.MISSING else other
            return (asked.is_null() if sign == "==" else asked.is_not_null()), Type.TRUTH
        if one_type is not other_type:
            truth_and_number = {one_type, other_type} == {Type.TRUTH, Type.NUMBER}
            if not truth_and_number:
                raise self._wrong(node, f"{sign!r} compares {one_type.value} with {other_type.value}")
            one, other = one.cast(pl.Float64), other.cast(pl.Float64)
        return _COMPARE[sign](one, other).fill_null(value=sign == "!="), Type.TRUTH

    def _computed(self, sign: str, left: Node, right: Node) -> _Typed:
        typed = self.compiled(left)
        if sign == "+" and typed[1] is Type.TEXT:
            return typed[0] + self._expected(right, Type.TEXT, sign), Type.TEXT
        one = self._checked(typed, left, Type.NUMBER, sign)
        other = self._expected(right, Type.NUMBER, sign)
        if sign == "**":
            one = one.cast(pl.Float64)  # whole numbers would go over their limit in silence
        computed = _COMPUTE[sign](one, other)
        return (computed.fill_nan(None) if sign in ("/", "**") else computed), Type.NUMBER

    def _among(self, node: Node, listed: Listed) -> _Typed:
        expression, kind = self.compiled(node)
        for value in listed.values:
            if value is not None and _type_of_value(value) is not kind:
                raise self._wrong(listed, f"{kind.value} is not among values such as {value!r}")
        values = [value for value in listed.values if value is not None]
        found = expression.is_in(values).fill_null(value=False) if values else pl.lit(value=False)
        if len(values) < len(listed.values):
            found = found | expression.is_null()
        return found, Type.TRUTH

    def _called(self, node: Method) -> _Typed:
        methods = {
            "isnull": self._is_null,
            "isna": self._is_null,
            "notnull": self._is_not_null,
            "notna": self._is_not_null,
            "isin": self._is_in,
            "between": self._between,
            "abs": self._absolute,
            "round": self._rounded,
            "contains": self._text_test,
            "startswith": self._text_test,
            "endswith": self._text_test,
            "lower": self._text_change,
            "upper": self._text_change,
            "strip": self._text_change,
            "len": self._length,
        }
        if node.name not in methods:
            near = difflib.get_close_matches(node.name, methods, n=1)
            hint = f"; the nearest: {near[0]}" if near else f": there are {', '.join(methods)}"
            raise self._wrong(node, f"there is no method {node.name!r}{hint}")
        return methods[node.name](node)

    def _arguments(self, node: Method, count: int) -> tuple[Node, ...]:
        if len(node.arguments) != count:
            raise self._wrong(node, f"{node.name} takes {count} arguments, got {len(node.arguments)}")
        return node.arguments

    def _is_null(self, node: Method) -> _Typed:
        self._arguments(node, 0)
        return self.compiled(node.operand)[0].is_null(), Type.TRUTH

    def _is_not_null(self, node: Method) -> _Typed:
        self._arguments(node, 0)
        return self.compiled(node.operand)[0].is_not_null(), Type.TRUTH

    def _is_in(self, node: Method) -> _Typed:
        (listed,) = self._arguments(node, 1)
        if not isinstance(listed, Listed):
            raise self._wrong(node, "isin takes values in brackets")
        return self._among(node.operand, listed)

    def _between(self, node: Method) -> _Typed:
        low, high = self._arguments(node, 2)
        ends = Binary("<=", low, node.operand, node.at), Binary("<=", node.operand, high, node.at)
        return self.compiled(Binary("and", *ends, node.at))

    def _absolute(self, node: Method) -> _Typed:
        self._arguments(node, 0)
        return self._expected(node.operand, Type.NUMBER, node.name).abs(), Type.NUMBER

    def _rounded(self, node: Method) -> _Typed:
        digits = 0
        if node.arguments:
            (argument,) = self._arguments(node, 1)
            if not isinstance(argument, Literal) or type(argument.value) is not int or argument.value > 15:
                raise self._wrong(node, "round takes a number of digits from 0 to 15")
            digits = argument.value
        return self._expected(node.operand, Type.NUMBER, node.name).round(digits), Type.NUMBER

    def _text_test(self, node: Method) -> _Typed:
        operand = self._expected(node.operand, Type.TEXT, node.name)
        (argument,) = self._arguments(node, 1)
        if not isinstance(argument, Literal) or not isinstance(argument.value, str):
            raise self._wrong(argument, f"{node.name} takes a text in quotes")
        # Texts as they stand, never patterns: a dot in the name of a file is a dot.
        if node.name == "contains":
            found = operand.str.contains(argument.value, literal=True)
        elif node.name == "startswith":
            found = operand.str.starts_with(argument.value)
        else:
            found = operand.str.ends_with(argument.value)
        return found.fill_null(value=False), Type.TRUTH

    def _text_change(self, node: Method) -> _Typed:
        self._arguments(node, 0)
        text = self._expected(node.operand, Type.TEXT, node.name).str
        change = {"lower": text.to_lowercase, "upper": text.to_uppercase, "strip": text.strip_chars}
        return change[node.name](), Type.TEXT

    def _length(self, node: Method) -> _Typed:
        self._arguments(node, 0)
        return self._expected(node.operand, Type.TEXT, node.name).str.len_chars(), Type.NUMBER

    def _wrong(self, node: Node, what: str) -> QueryInvalid:
        return invalid(self._text, node.at, what)


def _type_of_value(value: Scalar) -> Type:
    if value is None:
        return Type.MISSING
    if isinstance(value, bool):
        return Type.TRUTH
    return Type.TEXT if isinstance(value, str) else Type.NUMBER
