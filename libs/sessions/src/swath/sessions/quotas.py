"""The refusal of an identity that has as much as its quota allows."""

from __future__ import annotations

from typing import TypeVar

from swath.errors import QuotaExceeded

Q = TypeVar("Q", bound=QuotaExceeded)


def exceeded(error: type[Q], owner: str, what: str, *, present: int, limit: int, remedy: str, wanted: int = 1) -> Q:
    """Return the refusal of one more.

    Args:
        error: Its class.
        owner: The identity; empty where nobody is asked who calls, so that all callers are one.
        what: What is counted, in the plural.
        present: How many of it there are.
        limit: How many there may be.
        remedy: What to do about it.
        wanted: How many more were asked for.
    """
    who = f"{owner} has" if owner else "all callers, since nobody is asked who calls, have"
    more = "" if wanted == 1 else f", and {wanted} more were asked for"
    facts = {"limit": str(limit), "present": str(present), "wanted": str(wanted)}
    return error(f"quota: {who} {present} of {limit} {what}{more}: {remedy}", metadata=facts)
