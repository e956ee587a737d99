"""What is wrong with a query, and where."""

from __future__ import annotations

from swath.errors import QueryInvalid

_SHOWN = 20
"""Characters of a query that are shown before and after the place."""


def invalid(query: str, at: int, what: str) -> QueryInvalid:
    """Return the error of a query that does not parse, or asks for what the samples do not have.

    Args:
        query: The whole text.
        at: The character that it is about, from 0; also its metadata "position".
        what: What is wrong there.
    """
    start, end = max(at - _SHOWN, 0), at + _SHOWN
    shown = f"{'…' if start else ''}{query[start:at]}▸{query[at:end]}{'…' if len(query) > end else ''}"
    return QueryInvalid(f"query, character {at + 1}: {what}: {shown}", metadata={"position": str(at)})
