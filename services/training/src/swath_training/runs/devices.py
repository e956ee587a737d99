"""What a run runs on, as its row has it: one device per process, such as "cpu" or "cuda:0+cuda:1"."""

from __future__ import annotations

from collections.abc import Iterable

_SEPARATOR = "+"


def devices_text(devices: Iterable[object]) -> str:
    """Return the text of some devices, one per process."""
    return _SEPARATOR.join(map(str, devices))


def devices_in(text: str) -> list[str]:
    """Return the devices of a text, one per process."""
    return text.split(_SEPARATOR)
