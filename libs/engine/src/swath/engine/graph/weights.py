"""Weights files: ``torch.save`` of ``{"state_dict": {node: {key: tensor}}, "metadata": {...}}``.

Files of the older flat form, ``{"<node>.<key>": tensor}``, are read too; names of nodes hold no dots.

They are read with ``weights_only=True`` only, so a file can hold data but no code.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from swath.engine.error_text import first_line
from swath.engine.graph.pipeline import State
from swath.errors import WeightsInvalid


def dump(state: Mapping[str, Mapping[str, Tensor]], metadata: Mapping[str, Any] | None = None) -> bytes:
    """Return a weights file.

    Args:
        state: Values by node and key; they are written as CPU tensors.
        metadata: Plain values: text, numbers, lists and mappings of them.
    """
    plain = {
        name: {key: value.detach().cpu().contiguous().clone() for key, value in entry.items()}
        for name, entry in state.items()
    }
    buffer = io.BytesIO()
    torch.save({"state_dict": plain, "metadata": dict(metadata or {})}, buffer)
    return buffer.getvalue()


def load(data: bytes) -> tuple[State, dict[str, Any]]:
    """Read a weights file.

    Returns:
        Values by node and key, on the CPU, and the metadata.

    Raises:
        WeightsInvalid: It is no weights file, holds code, or has another layout.
    """
    # The format of torch before 1.6, a bare pickle, is not supported.
    if not data.startswith(b"PK"):
        raise WeightsInvalid("The weights are not a file of torch.save: it is no zip archive")
    try:
        content = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # what a hostile or damaged file makes the reader raise is not documented
        raise WeightsInvalid(f"The weights were refused: {first_line(error)}") from error
    if not isinstance(content, Mapping):
        raise WeightsInvalid(f"The weights are a {type(content).__name__}, expected a mapping of nodes to tensors")
    entries = content.get("state_dict", content)
    if not isinstance(entries, Mapping):
        raise WeightsInvalid("The 'state_dict' of the weights does not map nodes to tensors")
    if entries and all(isinstance(value, Tensor) for value in entries.values()):
        entries = _nested(entries)
    elif entries is content:
        raise WeightsInvalid(
            "The weights have no 'state_dict' that maps nodes to tensors, and are not of the older form either, which "
            "maps '<node>.<key>' to tensors"
        )
    state: State = {}
    for name, entry in entries.items():
        if not isinstance(entry, Mapping) or not all(_is_plain(value) for value in entry.values()):
            raise WeightsInvalid(f"The entry '{name}' of the weights does not map keys to dense, real tensors")
        state[str(name)] = {str(key): value for key, value in entry.items()}
    metadata = content.get("metadata") if "state_dict" in content else None
    return state, dict(metadata) if isinstance(metadata, Mapping) else {}


def _nested(flat: Mapping[Any, Tensor]) -> dict[str, dict[str, Tensor]]:
    """Return the entries of a flat file by node and key; a name without a dot is a node's, with an empty key."""
    nested: dict[str, dict[str, Tensor]] = {}
    for name, value in flat.items():
        node, _, key = str(name).partition(".")
        nested.setdefault(node, {})[key] = value
    return nested


def _is_plain(value: Any) -> bool:
    """Whether a node can copy from a value: a dense CPU tensor with data, neither quantized nor complex."""
    return (
        isinstance(value, Tensor)
        and value.layout is torch.strided
        and value.device.type == "cpu"
        and not value.is_quantized
        and not value.is_complex()
    )
