"""What a run runs on, as its row says it: a device for each of its processes, "cpu" or "cuda:0+cuda:1" say."""

from __future__ import annotations

from collections.abc import Iterable

_MARK = "+"


def written(devices: Iterable[object]) -> str:
    """Return the text of some devices, one for each process."""
    return _MARK.join(map(str, devices))


def devices_in(text: str) -> list[str]:
    """Return the devices of a text, one for each process."""
    return text.split(_MARK)
