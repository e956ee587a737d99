"""Why a worker exited, as a text."""

from __future__ import annotations

import signal


def exit_reason(code: int | None, last_output: str) -> str:
    """Return one text with a worker's exit code (negative: the signal) and the last output."""
    if code is None:
        how = "it was gone when the server looked for it"
    elif code < 0:
        how = f"it was killed by {_signal_name(-code)}"
    else:
        how = f"it exited with code {code}"
    return f"{how}; its last output: {last_output}" if last_output else f"{how}, without a word"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
