"""What an error says, short enough for the error that follows from it."""

from __future__ import annotations


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, its class where it has none: torch appends frames of its own stack."""
    return str(error).strip().split("\n", 1)[0] or type(error).__name__
