"""The grammar of queries: text in, tree out. Nothing of a query is ever run as Python.

query    = [where] ["sortby" order {"," order} [slice]] ["head" number]
         | "df" {"[" where "]" | ".query(" text ")" | ".sort_values(" .. ")" | ".head(" number ")"}
order    = column ["asc" | "desc"]
slice    = "scope:view" "start:" number "count:" number

`where` and `column` are in `swath.samples.query.conditions`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from swath.samples.query.conditions import Conditions
from swath.samples.query.nodes import Binary, Column, Node
from swath.samples.query.tokens import Kind, Token

_AFTER_WHERE = ("sortby", "head")


@dataclass(frozen=True, slots=True)
class Order:
    """One column to sort by."""

    column: Column
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """What a query asks for.

    Attributes:
        text: The query as it was written.
        where: Which samples; None for all.
        order: By what they are sorted, the first column first.
        start: First sample of the slice that is sorted; the others stay where they are.
        count: Samples of that slice; None where all are sorted.
        head: At most so many samples; None for all.
    """

    text: str
    where: Node | None = None
    order: tuple[Order, ...] = ()
    start: int = 0
    count: int | None = None
    head: int | None = None


def parse(text: str) -> Query:
    """Read a query.

    Raises:
        QueryInvalid: It is none. The text says at which character, what was expected and what is there.
    """
    return _Queries(text).query()


class _Queries(Conditions):
    def query(self) -> Query:
        if self._is_frame():
            query = self._frame()
        else:
            where = None if self._at(*_AFTER_WHERE) or self._here.kind is Kind.END else self._where()
            query = Query(self._text, where)
        if self._skip("sortby"):
            query = self._sorted(query)
        if self._skip("head"):
            query = replace(query, head=self._number("how many samples"))
        if self._here.kind is not Kind.END:
            raise self._wrong("expected an operator or the end")
        return query

    def _sorted(self, query: Query) -> Query:
        order = [self._order()]
        while self._skip(","):
            order.append(self._order())
        start, count = 0, None
        while self._at("scope", "start", "count"):
            word = self._take().text
            self._expect(":")
            if word == "scope":
                self._expect("view")
            elif word == "start":
                start = self._number("where the slice starts")
            else:
                count = self._number("how many samples the slice has")
        return replace(query, order=tuple(order), start=start, count=count)

    def _order(self) -> Order:
        column = self._column()
        if self._skip("desc", "descending"):
            return Order(column, descending=True)
        self._skip("asc", "ascending")
        return Order(column)

    def _is_frame(self) -> bool:
        """Whether the query is of the form `df[..]` or `df.sort_values(..)`, not one that begins with a column."""
        if not self._at("df"):
            return False
        second, third, fourth = (self._tokens[min(self._next + k, len(self._tokens) - 1)] for k in (1, 2, 3))
        if second.text == "[" and second.kind is Kind.SIGN:
            return not (third.kind is Kind.TEXT and fourth.text == "]")
        if second.text != ".":
            return True
        return third.text in ("query", "sort_values", "head") and fourth.text == "("

    def _frame(self) -> Query:
        self._expect("df")
        query = Query(self._text)
        while self._at("[", "."):
            if self._skip("["):
                query = replace(query, where=_both(query.where, self._where()))
                self._expect("]")
                continue
            self._expect(".")
            method = self._take()
            self._expect("(")
            match method.text:
                case "query":
                    inner = self._literal_text("a query")
                    where = _Queries(inner.text).query().where
                    query = replace(query, where=_both(query.where, where))
                case "head":
                    query = replace(query, head=5 if self._at(")") else self._number("how many samples"))
                case "sort_values":
                    query = replace(query, order=self._sort_values())
                case _:
                    raise self._wrong(
                        f"expected query, sort_values or head after 'df.', got {method.text!r}", method.at
                    )
            self._expect(")")
        return query

    def _sort_values(self) -> tuple[Order, ...]:
        if self._skip("by"):
            self._expect("=")
        names = self._texts() if self._at("[") else [self._literal_text("a column")]
        ascending = [True]
        if self._skip(","):
            self._expect("ascending")
            self._expect("=")
            ascending = self._truths()
        if len(ascending) not in (1, len(names)):
            raise self._wrong(
                f"expected ascending for one or for {len(names)} columns, got {len(ascending)}", names[0].at
            )
        flags = ascending * len(names) if len(ascending) == 1 else ascending
        return tuple(Order(Column(name.text, name.at), not flag) for name, flag in zip(names, flags, strict=True))

    def _texts(self) -> list[Token]:
        self._expect("[")
        found = [self._literal_text("a column")]
        while self._skip(","):
            found.append(self._literal_text("a column"))
        self._expect("]")
        return found

    def _truths(self) -> list[bool]:
        if not self._skip("["):
            return [self._truth()]
        found = [self._truth()]
        while self._skip(","):
            found.append(self._truth())
        self._expect("]")
        return found

    def _truth(self) -> bool:
        if self._skip("true"):
            return True
        if self._skip("false"):
            return False
        raise self._wrong("expected True or False")


def _both(first: Node | None, second: Node | None) -> Node | None:
    if first is None or second is None:
        return second if first is None else first
    return Binary("and", first, second, second.at)
