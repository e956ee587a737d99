"""Keys that a config file may not have, and the nearest ones that it may."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from swath.serve.config import nearest
from swath.serve.schema.places import Path


def unknown(model: type[BaseModel], value: Any, path: Path = ()) -> Iterator[tuple[Path, str]]:
    """Iterate over the keys of a document that its model does not have: where each is, and what is wrong in words.

    Args:
        model: The model.
        value: The document as YAML has it.
        path: Where the document is.
    """
    if not isinstance(value, Mapping):
        return
    for key, each in value.items():
        field = model.model_fields.get(key) if isinstance(key, str) else None
        if field is None:
            yield (*path, str(key)), f"unknown key {key!r}{nearest(str(key), model.model_fields)}"
            continue
        inner = _model_in(field.annotation)
        if inner is None:
            continue
        if isinstance(each, list):
            for index, one in enumerate(each):
                yield from unknown(inner, one, (*path, key, index))
        else:
            yield from unknown(inner, each, (*path, key))


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """Return the model that an annotation is about: as it is, in a list, or one of several."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (Union, types.UnionType, list, tuple, Annotated):
        return next((found for each in get_args(annotation) if (found := _model_in(each)) is not None), None)
    return None
