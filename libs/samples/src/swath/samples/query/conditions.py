"""The grammar of conditions: words in, tree out.

where    = and {("or" | "|") and};  and = not {("and" | "&") not};  not = ("not" | "~") not | compared
compared = sum {("<" | "<=" | ">" | ">=" | "==" | "=" | "!=" | "in" | "not in") sum | "is" ["not"] "null"}
sum      = product {("+" | "-") product};  product = power {("*" | "/" | "//" | "%") power}
power    = signed ["**" power];  signed = "-" signed | called
called   = value {"." name "(" [where {"," where}] ")"}
value    = number | text | "true" | "false" | "null" | column | "(" where ")" | "[" values "]"
column   = name | "`" anything "`" | "df[" text "]" | "df." name
"""

from __future__ import annotations

from swath.samples.query.nodes import Binary, Column, Listed, Literal, Method, Node, Scalar, Unary
from swath.samples.query.tokens import Kind
from swath.samples.query.words import Words

_DEEPEST = 100
"""Brackets within one another."""
_CONSTANTS: dict[str, Scalar] = {
    "true": True,
    "false": False,
    "null": None,
    "none": None,
    "nan": None,
}
_COMPARISONS = {"<": "<", "<=": "<=", ">": ">", ">=": ">=", "==": "==", "=": "==", "!=": "!=", "<>": "!="}


class Conditions(Words):
    """Reads the condition of a query.

    Args:
        text: The query.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0

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
