"""Published models as messages of swath.models.v1, and back."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from swath.models.v1 import catalogue_pb2, models_pb2
from swath.published.model import Alias, Change, Model, ModelVersion, ReplicaState, Share, State, TensorSpec

_STATES = {
    State.KNOWN: models_pb2.ReplicaState.STATE_KNOWN,
    State.LOADING: models_pb2.ReplicaState.STATE_LOADING,
    State.READY: models_pb2.ReplicaState.STATE_READY,
    State.FAILED: models_pb2.ReplicaState.STATE_FAILED,
}
# A state that a newer replica may say is no reason to refuse the others.
_NAMES = {code: state for state, code in _STATES.items()}


def message_of(model: Model) -> models_pb2.Model:
    """Return a model as a message."""
    return models_pb2.Model(
        **_plain(model, but=("versions", "aliases")),
        versions=map(_version_message, model.versions),
        aliases=map(_alias_message, model.aliases),
    )


def model_of(message: models_pb2.Model) -> Model:
    """Return the model in a message."""
    return Model(
        name=message.name,
        owner=message.owner,
        revision=message.revision,
        versions=tuple(map(_version, message.versions)),
        aliases=tuple(Alias(each.name, shares_of(each.targets), shares_of(each.previous)) for each in message.aliases),
        labels=dict(message.labels),
        callers=tuple(message.callers),
        editors=tuple(message.editors),
        pinned=message.pinned,
    )


def shares_of(messages: Iterable[models_pb2.Share]) -> tuple[Share, ...]:
    """Return the shares in messages, in their order."""
    return tuple(Share(each.version, each.percent) for each in messages)


def share_messages(shares: Iterable[Share]) -> list[models_pb2.Share]:
    """Return shares as messages, in their order."""
    return [models_pb2.Share(version=share.version, percent=share.percent) for share in shares]


def state_message(state: ReplicaState) -> models_pb2.ReplicaState:
    """Return what a replica says as a message."""
    return models_pb2.ReplicaState(**_plain(state, but=("state",)), state=_STATES[state.state])


def state_of(message: models_pb2.ReplicaState) -> ReplicaState:
    """Return what a replica says in a message."""
    return ReplicaState(
        replica=message.replica,
        name=message.name,
        version=message.version,
        state=_NAMES.get(message.state, State.KNOWN),
        reason=message.reason,
        memory_bytes=message.memory_bytes,
    )


def change_message(change: Change) -> catalogue_pb2.WatchModelsResponse:
    """Return a change as a message."""
    return catalogue_pb2.WatchModelsResponse(
        complete=change.complete, models=map(message_of, change.models), removed=change.removed
    )


def change_of(message: catalogue_pb2.WatchModelsResponse) -> Change:
    """Return the change in a message."""
    return Change(tuple(map(model_of, message.models)), tuple(message.removed), message.complete)


def _version_message(version: ModelVersion) -> models_pb2.ModelVersion:
    return models_pb2.ModelVersion(
        **_plain(version, but=("inputs", "outputs")),
        inputs=map(_spec_message, version.inputs),
        outputs=map(_spec_message, version.outputs),
    )


def _version(message: models_pb2.ModelVersion) -> ModelVersion:
    return ModelVersion(
        number=message.number,
        pipeline_digest=message.pipeline_digest,
        weights_digest=message.weights_digest if message.HasField("weights_digest") else None,
        inputs=tuple(map(_spec, message.inputs)),
        outputs=tuple(map(_spec, message.outputs)),
        published_at=message.published_at,
        published_by=message.published_by,
        description=message.description,
        plugins=tuple(message.plugins),
    )


def _spec_message(spec: TensorSpec) -> models_pb2.TensorSpec:
    return models_pb2.TensorSpec(**_plain(spec))


def _spec(message: models_pb2.TensorSpec) -> TensorSpec:
    return TensorSpec(message.name, message.dtype, tuple(message.shape), message.optional, message.description)


def _alias_message(alias: Alias) -> models_pb2.Alias:
    return models_pb2.Alias(
        name=alias.name, targets=share_messages(alias.targets), previous=share_messages(alias.previous)
    )


def _plain(value: Any, but: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the fields of a dataclass that a message of the same names takes as they are."""
    return {each.name: getattr(value, each.name) for each in dataclasses.fields(value) if each.name not in but}
