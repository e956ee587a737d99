"""The grammar of queries: text in, tree out. Nothing of a query is ever run as Python.

query    = [where] ["sortby" order {"," order} [slice]] ["head" number]
         | "df" {"[" where "]" | ".query(" text ")" | ".sort_values(" .. ")" | ".head(" number ")"}
order    = column ["asc" | "desc"]
slice    = "scope:view" "start:" number "count:" number
where    = and {("or" | "|") and};  and = not {("and" | "&") not};  not = ("not" | "~") not | compared
compared = sum {("<" | "<=" | ">" | ">=" | "==" | "=" | "!=" | "in" | "not in") sum | "is" ["not"] "null"}
sum      = product {("+" | "-") product};  product = power {("*" | "/" | "//" | "%") power}
power    = signed ["**" power];  signed = "-" signed | called
called   = value {"." name "(" [where {"," where}] ")"}
value    = number | text | "true" | "false" | "null" | column | "(" where ")" | "[" values "]"
column   = name | "`" anything "`" | "df[" text "]" | "df." name
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from swath.errors import QueryInvalid
from swath.samples.query.errors import invalid
from swath.samples.query.nodes import Binary, Column, Listed, Literal, Method, Node, Scalar, Unary
from swath.samples.query.tokens import Kind, Token, tokens

_DEEPEST = 100
"""Brackets within one another."""
_MOST_OPERATORS = 100
_CONSTANTS: dict[str, Scalar] = {
    "true": True,
    "false": False,
    "null": None,
    "none": None,
    "nan": None,
}
_COMPARISONS = {"<": "<", "<=": "<=", ">": ">", ">=": ">=", "==": "==", "=": "==", "!=": "!=", "<>": "!="}
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
    return _Parser(text).query()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tokens(text)
        self._next = 0
        self._depth = 0
        self._operators = 0

    # Words

    @property
    def _here(self) -> Token:
        return self._tokens[self._next]

    def _take(self) -> Token:
        token = self._here
        if token.kind is not Kind.END:
            self._next += 1
        return token

    def _at(self, *words: str) -> bool:
        token = self._here
        return token.kind in (Kind.NAME, Kind.SIGN) and token.text.lower() in words

    def _skip(self, *words: str) -> bool:
        if self._at(*words):
            self._next += 1
            return True
        return False

    def _expect(self, word: str) -> Token:
        if not self._at(word):
            raise self._wrong(f"expected {word!r}")
        return self._take()

    def _wrong(self, what: str, at: int | None = None) -> QueryInvalid:
        if at is None:
            what, at = f"{what}, got {self._here}", self._here.at
        return invalid(self._text, at, what)

    def _number(self, what: str) -> int:
        token = self._here
        if token.kind is not Kind.NUMBER or not token.text.isdecimal():
            raise self._wrong(f"expected {what}, a whole number")
        return int(self._take().text)

    # Queries

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
                    where = _Parser(inner.text).query().where
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

    def _literal_text(self, what: str) -> Token:
        if self._here.kind is not Kind.TEXT:
            raise self._wrong(f"expected {what} in quotes")
        return self._take()

    # Conditions

    def _operator(self) -> Token:
        """Take a word that makes a node of the tree, of which there are not too many."""
        self._operators += 1
        if self._operators > _MOST_OPERATORS:
            raise self._wrong(f"more than {_MOST_OPERATORS} operators", self._here.at)
        return self._take()

    def _where(self) -> Node:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._wrong(f"more than {_DEEPEST} levels of brackets", self._here.at)
        node = self._and()
        while self._at("or", "|", "||"):
            at = self._operator().at
            node = Binary("or", node, self._and(), at)
        self._depth -= 1
        return node

    def _and(self) -> Node:
        node = self._not()
        while self._at("and", "&", "&&"):
            at = self._operator().at
            node = Binary("and", node, self._not(), at)
        return node

    def _not(self) -> Node:
        ats = []
        while self._at("not", "~", "!"):
            ats.append(self._operator().at)
        node = self._compared()
        for at in reversed(ats):
            node = Unary("not", node, at)
        return node

    def _compared(self) -> Node:
        left = self._sum()
        node: Node | None = None
        while True:
            token = self._here
            if token.kind is Kind.SIGN and token.text in _COMPARISONS:
                self._operator()
                right = self._sum()
                one: Node = Binary(_COMPARISONS[token.text], left, right, token.at)
            elif self._at("in"):
                self._operator()
                right = self._listed()
                one = Binary("in", left, right, token.at)
            elif self._at("not") and self._tokens[self._next + 1].text.lower() == "in":
                self._operator()
                self._take()
                right = self._listed()
                one = Unary("not", Binary("in", left, right, token.at), token.at)
            elif self._at("is"):
                self._operator()
                inverted = self._skip("not")
                if not self._skip("null", "none", "nan"):
                    raise self._wrong("expected null")
                right = left
                one = Method("notnull" if inverted else "isnull", left, (), token.at)
            else:
                return left if node is None else node
            # As in Python, `0 < a < 1` is `0 < a and a < 1`.
            node = one if node is None else Binary("and", node, one, token.at)
            left = right

    def _listed(self) -> Listed:
        if not self._at("[", "("):
            raise self._wrong("expected values in brackets")
        opening = self._take()
        closing = "]" if opening.text == "[" else ")"
        values: list[Scalar] = []
        while not self._at(closing):
            values.append(self._scalar())
            if not self._skip(","):
                break
        self._expect(closing)
        return Listed(tuple(values), opening.at)

    def _scalar(self) -> Scalar:
        token = self._here
        sign = -1 if self._skip("-") else 1
        if self._here.kind is Kind.NUMBER:
            return sign * _number(self._take().text)
        if sign == 1 and token.kind is Kind.TEXT:
            return self._take().text
        if sign == 1 and token.kind is Kind.NAME and token.text.lower() in _CONSTANTS:
            return _CONSTANTS[self._take().text.lower()]
        raise self._wrong("expected a number or a text")

    # Values

    def _sum(self) -> Node:
        node = self._product()
        while self._at("+", "-"):
            token = self._operator()
            node = Binary(token.text, node, self._product(), token.at)
        return node

    def _product(self) -> Node:
        node = self._power()
        while self._at("*", "/", "//", "%"):
            token = self._operator()
            node = Binary(token.text, node, self._power(), token.at)
        return node

    def _power(self) -> Node:
        ats = []
        while self._at("-", "+"):
            token = self._operator()
            ats += [token.at] if token.text == "-" else []
        node = self._called()
        if self._at("**"):
            at = self._operator().at
            node = Binary("**", node, self._power(), at)
        for at in reversed(ats):
            node = Unary("-", node, at)
        return node

    def _called(self) -> Node:
        node = self._value()
        while self._at("."):
            self._operator()
            name = self._here
            if name.kind is not Kind.NAME:
                raise self._wrong("expected a method")
            self._take()
            if name.text in ("str", "dt") and self._at("."):
                continue
            self._expect("(")
            arguments: list[Node] = []
            while not self._at(")"):
                if self._at("[") and name.text == "isin":
                    arguments.append(self._listed())
                else:
                    self._keyword()
                    arguments.append(self._where())
                if not self._skip(","):
                    break
            self._expect(")")
            node = Method(name.text, node, tuple(arguments), name.at)
        return node

    def _keyword(self) -> None:
        """Pass over the name of an argument, such as `pat=`."""
        following = self._tokens[min(self._next + 1, len(self._tokens) - 1)]
        if self._here.kind is Kind.NAME and following.text == "=" and following.kind is Kind.SIGN:
            self._next += 2

    def _value(self) -> Node:
        token = self._here
        match token.kind:
            case Kind.NUMBER:
                return Literal(_number(self._take().text), token.at)
            case Kind.TEXT:
                return Literal(self._take().text, token.at)
            case Kind.NAME if token.text.lower() in _CONSTANTS:
                return Literal(_CONSTANTS[self._take().text.lower()], token.at)
            case Kind.NAME | Kind.COLUMN:
                return self._column()
        if self._skip("("):
            node = self._where()
            self._expect(")")
            return node
        if self._at("["):
            return self._listed()
        raise self._wrong("expected a column, a number or a text")

    def _column(self) -> Column:
        token = self._here
        if token.kind not in (Kind.NAME, Kind.COLUMN):
            raise self._wrong("expected a column")
        self._take()
        if token.kind is Kind.NAME and token.text == "df":
            if self._skip("["):
                name = self._literal_text("a column")
                self._expect("]")
                return Column(name.text, name.at)
            if self._at(".") and self._tokens[self._next + 1].kind is Kind.NAME:
                self._take()
                name = self._take()
                return Column(name.text, name.at)
        return Column(token.text, token.at)


def _number(text: str) -> int | float:
    return int(text) if text.isdecimal() and len(text) < 19 else float(text)


def _both(first: Node | None, second: Node | None) -> Node | None:
    if first is None or second is None:
        return second if first is None else first
    return Binary("and", first, second, second.at)
