"""What an error says, short enough for what follows from it."""

from __future__ import annotations

from logging import Logger

from swath.errors import SwathError


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, its class where it has none: torch appends frames of its own stack."""
    return str(error).strip().split("\n", 1)[0] or type(error).__name__


def outcome_text(error: Exception) -> str:
    """Return what an outcome says of an error: the words of a known one, the class and the text of any other."""
    return error.message if isinstance(error, SwathError) else f"{type(error).__name__}: {error}"


def log_outcome(log: Logger, what: str, error: Exception) -> None:
    """Log an error that an outcome tells of; where it came from is of use only if nobody foresaw it."""
    known = isinstance(error, SwathError)
    log.warning("%s: %s", what, outcome_text(error), exc_info=None if known else error)
