"""How a call ended, in words fit for a client."""

from __future__ import annotations

import re
import traceback

from swath.serve.exceptions import RayServeException
from swath.serve.exchange import Outcome

LIMIT = 2048
"""Characters of a text for a client. gRPC bounds the trailers that it travels in."""

_INTERNAL = 13
_UNIMPLEMENTED = 12

_COLOUR = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b")
_PATH = re.compile(r"(?<![\w:/.])/(?:[^\s/'\"]+/)+([^\s/'\"]+)")


def said(error: BaseException) -> str:
    """Return an exception as `Type: text`: without colours, and with names of files in place of their paths."""
    if isinstance(error, RayServeException):
        return shortened(error.message)
    name = type(error).__name__
    text = str(error)
    return shortened(f"{name}: {text}" if text else name)


def shortened(text: str, limit: int = LIMIT) -> str:
    """Return a text without paths and colours; a long one without its middle, since the end has the cause."""
    clean = _PATH.sub(r"\1", _COLOUR.sub("", text)).replace("\x00", "")
    if len(clean) <= limit:
        return clean
    half = (limit - 20) // 2
    return f"{clean[:half]} ... [cut] ... {clean[-half:]}"


def failed(error: BaseException, set_before: Outcome, whole: bool = False) -> Outcome:
    """Return how a call ended whose handler has raised.

    The handler's own code counts, unless that is OK: a failure never looks like an answer. So do its
    details and metadata.

    Args:
        error: What it raised.
        set_before: What its context held.
        whole: Whether the client is told the whole traceback.
    """
    own = error.code if isinstance(error, RayServeException) else _INTERNAL
    code = set_before.code or own
    text = "".join(traceback.format_exception(error)) if whole else said(error)
    details = set_before.details if set_before.code and set_before.details else text
    retry = error.retry_after_s if isinstance(error, RayServeException) else None
    return Outcome(code, details, set_before.trailing_metadata, set_before.compression, retry)


def as_tuple(outcome: Outcome) -> tuple[int, str, tuple[tuple[str, str | bytes], ...], int | None, float | None]:
    """Return an outcome as what a frame can say; `Outcome(*...)` reads it."""
    return outcome.code, outcome.details, outcome.trailing_metadata, outcome.compression, outcome.retry_after_s
