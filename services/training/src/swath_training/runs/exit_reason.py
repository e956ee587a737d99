"""How a worker died, in words."""

from __future__ import annotations

import signal


def exit_reason(code: int | None, words: str) -> str:
    """Return one text with a worker's exit code (negative: the signal) and the last that it wrote."""
    if code is None:
        how = "it was gone when the server looked for it"
    elif code < 0:
        how = f"it was killed by {_signal_name(-code)}"
    else:
        how = f"it exited with code {code}"
    return f"{how}; its last words: {words}" if words else f"{how}, without a word"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
