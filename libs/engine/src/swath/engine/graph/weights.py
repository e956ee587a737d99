"""Weights files: ``torch.save`` of ``{"state_dict": {node: {key: tensor}}, "metadata": {...}}``.

They are read with ``weights_only=True`` only, so a file can hold data but no code.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

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
        raise WeightsInvalid(f"The weights were refused: {_first_line(error)}") from error
    if not isinstance(content, Mapping) or not isinstance(content.get("state_dict"), Mapping):
        raise WeightsInvalid("The weights have no 'state_dict' that maps nodes to tensors")
    state: State = {}
    for name, entry in content["state_dict"].items():
        if not isinstance(entry, Mapping) or not all(_is_plain(value) for value in entry.values()):
            raise WeightsInvalid(f"The entry '{name}' of the weights does not map keys to dense, real tensors")
        state[str(name)] = {str(key): value for key, value in entry.items()}
    metadata = content.get("metadata")
    return state, dict(metadata) if isinstance(metadata, Mapping) else {}


def _is_plain(value: Any) -> bool:
    """Whether a node can copy from a value: a dense CPU tensor with data, neither quantized nor complex."""
    return (
        isinstance(value, Tensor)
        and value.layout is torch.strided
        and value.device.type == "cpu"
        and not value.is_quantized
        and not value.is_complex()
    )


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0] or type(error).__name__
