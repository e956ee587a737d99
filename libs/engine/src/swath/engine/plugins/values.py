"""Conversion of contexts, metrics, pictures and state between this engine and the reference package's classes."""

from __future__ import annotations

import io
import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.records import Measurement, Picture

_SCHEMAS = "cuvis_ai_schemas.execution"
_PACKED = "::packed"


def given_context(context: Context) -> Any:
    """Return a context as the classes of a plugin take it; the engine's own if their package is not loaded."""
    schemas = sys.modules.get(_SCHEMAS)
    if schemas is None:
        return context
    stage = _stage(schemas, context)
    return schemas.Context(stage=stage, epoch=context.epoch, batch_idx=context.batch, global_step=context.step)


def given(value: Any, context: Context) -> Any:
    """Return an input as the classes of a plugin take it: measurements and pictures in lists are converted."""
    if not isinstance(value, list):
        return value
    return [_given_record(item, context) if not isinstance(item, list) else given(item, context) for item in value]


def taken(value: Any) -> Any:
    """Return an output as this engine takes it: arrays, and metrics and pictures in lists, are converted."""
    if isinstance(value, np.ndarray):
        return torch.from_numpy(np.ascontiguousarray(value))
    if not isinstance(value, list):
        return value
    return [_taken_record(item) for item in value]


def pack(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return a state as weights files of this engine hold it: tensors.

    A class may keep more in its state: texts, numbers, lists and mappings of them, by a `state_dict` of its own or as
    torch's extra state. Such an entry becomes the bytes of ``torch.save``, under a key that says so.

    Raises:
        TypeError: An entry holds something that cannot be read back without running code.
    """
    packed: dict[str, Tensor] = {}
    for key, value in state.items():
        if isinstance(value, Tensor):
            packed[key] = value
        else:
            packed[key + _PACKED] = _bytes(key, value)
    return packed


def unpack(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the state that `pack` was given.

    Raises:
        ValueError: A packed entry is damaged, or holds code.
    """
    return {
        key.removesuffix(_PACKED): _value(key, value) if key.endswith(_PACKED) else value
        for key, value in state.items()
    }


def _bytes(key: str, value: Any) -> Tensor:
    buffer = io.BytesIO()
    try:
        torch.save(value, buffer)
        torch.load(io.BytesIO(buffer.getvalue()), weights_only=True)
    except Exception as error:  # what torch raises here depends on the value
        raise TypeError(
            f"the state entry '{key}' is a {type(value).__name__}: expected a tensor, or numbers, texts, lists and "
            "mappings of them"
        ) from error
    return torch.frombuffer(bytearray(buffer.getvalue()), dtype=torch.uint8)


def _value(key: str, packed: Tensor) -> Any:
    try:
        return torch.load(io.BytesIO(packed.cpu().numpy().tobytes()), weights_only=True)
    except Exception as error:  # what a hostile or damaged file makes the reader raise is not documented
        raise ValueError(f"the state entry '{key.removesuffix(_PACKED)}' cannot be read") from error


def _given_record(item: Any, context: Context) -> Any:
    schemas = sys.modules.get(_SCHEMAS)
    if schemas is None or not isinstance(item, Measurement | Picture):
        return item
    place = {"stage": _stage(schemas, context), "epoch": context.epoch, "batch_idx": context.batch}
    if isinstance(item, Measurement):
        return schemas.Metric(name=item.name, value=item.value, **place)
    image = sys.modules["cuvis_ai_schemas.enums"].ArtifactType.IMAGE
    return schemas.Artifact(name=item.name, value=item.pixels, el_id=0, desc=item.name, type=image, **place)


def _taken_record(item: Any) -> Any:
    names = _fields(item)
    if not {"name", "value", "stage"} <= names:
        return item
    if "el_id" in names:
        return Picture(str(item.name), _pixels(np.asarray(item.value)))
    return Measurement(str(item.name), float(item.value))


def _fields(item: object) -> set[str]:
    return {field.name for field in fields(item)} if is_dataclass(item) else set()


def _pixels(values: np.ndarray) -> np.ndarray:
    """Return a picture as RGB bytes; floats range from 0 to 1."""
    if np.issubdtype(values.dtype, np.floating):
        values = np.rint(np.clip(values, 0, 1) * 255)
    values = values.astype(np.uint8)
    if values.ndim == 2:
        values = values[..., None]
    return np.repeat(values, 3, axis=2) if values.shape[2] == 1 else values[..., :3]


def _stage(schemas: Any, context: Context) -> Any:
    return type(schemas.Context().stage)(str(context.stage))
