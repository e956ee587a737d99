"""The kinds of documents of the API: reading, checking and describing them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from swath.documents.base import Document
from swath.documents.data import DataDocument
from swath.documents.pipeline import PipelineDocument
from swath.documents.training import CallbacksDocument, OptimizerDocument, SchedulerDocument, TrainingDocument
from swath.documents.trainrun import TrainRunDocument
from swath.errors import ConfigInvalid, DocumentInvalid

KINDS: Final[Mapping[str, type[Document]]] = {
    "training": TrainingDocument,
    "optimizer": OptimizerDocument,
    "scheduler": SchedulerDocument,
    "callbacks": CallbacksDocument,
    "data": DataDocument,
    "pipeline": PipelineDocument,
    "trainrun": TrainRunDocument,
}
"""Document types by the values of `config_type` on the wire."""


def model(kind: str) -> type[Document]:
    """Return the document type of a kind.

    Raises:
        ConfigInvalid: There is no such kind.
    """
    if kind not in KINDS:
        raise ConfigInvalid(f"Unknown config type: {kind}. Available types: {list(KINDS)}")
    return KINDS[kind]


def modernize(kind: str, data: dict[str, Any]) -> dict[str, Any]:
    """Return a document in its present form; the given one does not change.

    Older documents of this field's clients nest `training.trainer.*`, and call a node's `hparams` `params` and its
    `class_name` `class` or `type`; pipelines carry a `version`. A key that is also there in today's spelling wins.
    """
    if not isinstance(data, dict):
        return data
    if kind == "trainrun":
        nested = {part: modernize(part, data[part]) for part in ("pipeline", "training") if part in data}
        return {**data, **nested}
    if kind == "training":
        trainer = data.get("trainer")
        rest = {key: value for key, value in data.items() if key != "trainer"}
        return {**trainer, **rest} if isinstance(trainer, dict) else rest if trainer is None else data
    if kind == "pipeline":
        rest = {key: value for key, value in data.items() if key != "version"}
        if isinstance(data.get("nodes"), list):
            rest["nodes"] = [_modern_node(node) for node in data["nodes"]]
        return rest
    return data


_NODE_SPELLINGS: Final = {"params": "hparams", "class": "class_name", "type": "class_name"}


def _modern_node(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    taken = {key for key in node if key not in _NODE_SPELLINGS}
    modern: dict[str, Any] = {}
    for key, value in node.items():
        spelling = _NODE_SPELLINGS.get(key)
        if spelling is None or spelling in taken:
            modern[key] = value
        else:
            modern[spelling] = value
            taken.add(spelling)
    if modern.get("hparams", 0) is None:  # `hparams:` with nothing after it
        modern["hparams"] = {}
    return modern


def parse(kind: str, data: Mapping[str, Any] | bytes | str) -> Any:
    """Read a document of a kind, including older forms.

    Args:
        kind: One of `KINDS`.
        data: The document, or its JSON text.

    Returns:
        The document, of the type that `KINDS` gives.

    Raises:
        ConfigInvalid: There is no such kind.
        DocumentInvalid: The text is no JSON, or the document does not fit its type.
    """
    document_type = model(kind)
    try:
        return document_type.model_validate(modernize(kind, _mapping(data)))
    except ValidationError as error:
        raise DocumentInvalid(str(error), metadata={"kind": kind}) from error


def problems(kind: str, data: Mapping[str, Any]) -> list[str]:
    """Return the faults of a document of a kind, as `dotted.path: message`; empty if it is valid.

    Raises:
        ConfigInvalid: There is no such kind.
    """
    document_type = model(kind)
    try:
        document_type.model_validate(modernize(kind, dict(data)) if isinstance(data, Mapping) else data)
    except ValidationError as error:
        return [_problem(item["loc"], item["msg"]) for item in error.errors(include_url=False, include_input=False)]
    return []


def schema(kind: str) -> str:
    """Return the JSON Schema of a kind as text, indented by two spaces.

    Raises:
        ConfigInvalid: There is no such kind.
    """
    tree = model(kind).model_json_schema()
    names = {name: definition.get("title", name) for name, definition in tree.get("$defs", {}).items()}
    return json.dumps(_renamed(tree, names), indent=2)


def _mapping(data: Mapping[str, Any] | bytes | str) -> dict[str, Any]:
    if isinstance(data, Mapping):
        return dict(data)
    try:
        # YAML may hold any value, and callers pass it on.
        value = json.loads(data) if isinstance(data, (bytes, str)) else data
    except UnicodeDecodeError as error:
        raise DocumentInvalid(f"Invalid UTF-8: {error}") from error
    except RecursionError as error:
        raise DocumentInvalid("Invalid JSON: nested too deeply") from error
    except ValueError as error:  # no JSON, or a number of thousands of digits
        raise DocumentInvalid(f"Invalid JSON: {error}") from error
    if not isinstance(value, dict):
        raise DocumentInvalid(f"Invalid JSON: expected an object, got {type(value).__name__}")
    return value


def _problem(place: tuple[int | str, ...], message: str) -> str:
    # pydantic's path of a pipeline inside a trainrun has the form of the union, which is not part of the document.
    parts = [
        str(part)
        for at, part in enumerate(place)
        if not (at == 1 and place[0] == "pipeline" and part in ("inline", "path"))
    ]
    return f"{'.'.join(parts)}: {message}" if parts else message


def _renamed(tree: Any, names: dict[str, str]) -> Any:
    """Name definitions by their titles, as clients know them."""
    if isinstance(tree, list):
        return [_renamed(item, names) for item in tree]
    if not isinstance(tree, dict):
        return tree
    result: dict[str, Any] = {}
    for key, value in tree.items():
        if key == "$ref":
            result[key] = "#/$defs/" + names[value.removeprefix("#/$defs/")]
        elif key == "$defs":
            result[key] = {names[name]: _renamed(definition, names) for name, definition in value.items()}
        else:
            result[key] = _renamed(value, names)
    return result
