"""A place among the words of a query, which moves on as they are read."""

from __future__ import annotations

from swath.errors import QueryInvalid
from swath.samples.query.errors import invalid
from swath.samples.query.tokens import Kind, Token, tokens

_MOST_OPERATORS = 100


class Words:
    """The words of a query, one after the other.

    Args:
        text: The query.

    Raises:
        QueryInvalid: It has what is no word.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tokens(text)
        self._next = 0
        self._operators = 0

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

    def _operator(self) -> Token:
        """Take a word that makes a node of the tree, of which there are not too many."""
        self._operators += 1
        if self._operators > _MOST_OPERATORS:
            raise self._wrong(f"more than {_MOST_OPERATORS} operators", self._here.at)
        return self._take()

    def _literal_text(self, what: str) -> Token:
        if self._here.kind is not Kind.TEXT:
            raise self._wrong(f"expected {what} in quotes")
        return self._take()
