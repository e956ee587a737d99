"""What is wrong with a query, and where."""

from __future__ import annotations

from swath.errors import InvalidInput


class QueryInvalid(InvalidInput):
    """A query does not parse, or asks for what the samples do not have.

    Args:
        query: The whole text.
        at: The character that it is about, from 0.
        what: What is wrong there.
    """

    reason = "QUERY_INVALID"

    def __init__(self, query: str, at: int, what: str) -> None:
        start = max(at - 20, 0)
        shown = f"{'…' if start else ''}{query[start:at]}▸{query[at : at + 20]}{'…' if len(query) > at + 20 else ''}"
        super().__init__(f"query, character {at + 1}: {what}: {shown}", metadata={"position": str(at)})
        self.at = at

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuilt, (self.message, self.metadata, self.at)


def _rebuilt(message: str, metadata: dict[str, str], at: int) -> QueryInvalid:
    error = QueryInvalid.__new__(QueryInvalid)
    InvalidInput.__init__(error, message, metadata=metadata)
    error.at = at
    return error
