"""Published models as rows of their tables, and back."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import Row

from swath.published.model import Alias, Model, ModelVersion, ReplicaState, Share, State, TensorSpec


def models_of(models: Iterable[Row[Any]], versions: Iterable[Row[Any]]) -> Iterator[Model]:
    """Iterate over the models of rows.

    Args:
        models: Of the table of models.
        versions: Of the table of versions, in ascending order of their numbers.
    """
    found: defaultdict[str, list[ModelVersion]] = defaultdict(list)
    for row in versions:
        found[row.name].append(_version_of(row))
    for row in models:
        yield Model(
            name=row.name,
            owner=row.owner,
            revision=row.revision,
            versions=tuple(found[row.name]),
            aliases=tuple(map(_alias_of, row.aliases)),
            labels=row.labels,
            callers=tuple(row.callers),
            editors=tuple(row.editors),
            pinned=row.pinned,
        )


def model_columns(model: Model) -> dict[str, Any]:
    """Return a model's columns, all but its name and those that count."""
    return {
        "owner": model.owner,
        "aliases": [dataclasses.asdict(alias) for alias in model.aliases],
        "labels": dict(model.labels),
        "callers": list(model.callers),
        "editors": list(model.editors),
        "pinned": model.pinned,
    }


def version_columns(name: str, version: ModelVersion) -> dict[str, Any]:
    """Return the columns of a version of a model."""
    columns = dataclasses.asdict(version)
    return {"name": name, **columns, "plugins": list(version.plugins)}


def state_columns(state: ReplicaState) -> dict[str, Any]:
    """Return the columns of what a replica says, but for how long."""
    return {
        "replica": state.replica,
        "name": state.name,
        "number": state.version,
        "state": state.state.value,
        "reason": state.reason,
        "memory_bytes": state.memory_bytes,
    }


def state_of(row: Row[Any]) -> ReplicaState:
    """Return what a replica says in a row."""
    return ReplicaState(row.replica, row.name, row.number, State(row.state), row.reason, row.memory_bytes)


def _version_of(row: Row[Any]) -> ModelVersion:
    return ModelVersion(
        number=row.number,
        pipeline_digest=row.pipeline_digest,
        weights_digest=row.weights_digest,
        inputs=tuple(map(_spec_of, row.inputs)),
        outputs=tuple(map(_spec_of, row.outputs)),
        published_at=row.published_at,
        published_by=row.published_by,
        description=row.description,
        plugins=tuple(row.plugins),
    )


def _spec_of(columns: dict[str, Any]) -> TensorSpec:
    return TensorSpec(**{**columns, "shape": tuple(columns["shape"])})


def _alias_of(columns: dict[str, Any]) -> Alias:
    targets, previous = (tuple(Share(**share) for share in columns[each]) for each in ("targets", "previous"))
    return Alias(columns["name"], targets, previous)
