"""The outputs of a pipeline beside an Inference answer, for a client that asked for one that there is none of."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

_KEY = "swath-outputs-bin"
_MAX_BYTES = 4096
"""Trailing metadata stays small: proxies limit it."""


def outputs_trailer(names: Iterable[str]) -> tuple[tuple[str, bytes], ...]:
    """Return trailing metadata that lists outputs, as many as it has room for."""
    listed: list[str] = []
    room = _MAX_BYTES
    for name in names:
        room -= len(json.dumps(name)) + 2
        if room < 0:
            break
        listed.append(name)
    return ((_KEY, json.dumps(listed).encode()),)


def outputs_in(trailers: Mapping[str, Any]) -> list[str] | None:
    """Return the outputs that trailing metadata lists; None if it lists none, as all that were asked for exist."""
    return json.loads(trailers[_KEY]) if _KEY in trailers else None
