"""Conversion of contexts, metrics and pictures between this engine and the reference package's classes."""

from __future__ import annotations

import sys
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import torch

from swath.engine.graph.context import Context
from swath.engine.graph.records import Measurement, Picture

_SCHEMAS = "cuvis_ai_schemas.execution"


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
