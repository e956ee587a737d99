"""Published models: names over digests, which production calls."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from google.protobuf.field_mask_pb2 import FieldMask

from swath.client.calls import Call
from swath.models.v1 import models_pb2 as pb

R = TypeVar("R")

Targets = int | Mapping[int, float]
"""Where an alias points: at one version, or at several by the percentages of calls that they get."""

_STUB = "model_stub"
_ALL = 100.0


class _HasId(Protocol):
    id: str


@dataclass(frozen=True, slots=True)
class Publication:
    """What came of publishing.

    Attributes:
        model: The model then.
        version: Number of the version that holds what was published.
        existed: Whether that was there before: twice the same pipeline and weights are one version.
        untried: Why the server could not run it once with made inputs, in words; empty where it did.
    """

    model: pb.Model
    version: int
    existed: bool
    untried: str = ""


@dataclass(frozen=True, slots=True)
class ModelStates:
    """A model, and what replicas of inference say of its versions."""

    model: pb.Model
    states: tuple[pb.ReplicaState, ...]


class Models:
    """The published models of a server.

    Args:
        call: Makes one call.
    """

    def __init__(self, call: Callable[[Call[Any]], Any]) -> None:
        self._call = call

    def publish(
        self,
        name: str,
        session: _HasId | str,
        *,
        aliases: Sequence[str] = (),
        description: str = "",
        labels: Mapping[str, str] | None = None,
        callers: Sequence[str] | None = None,
        editors: Sequence[str] | None = None,
        pinned: bool | None = None,
    ) -> Publication:
        """Publish what a session holds as a version of a model, which is made if there is none of that name.

        Args:
            name: Of the model.
            session: The session, or its id.
            aliases: Point at the version then.
            description: Of a version that is new.
            labels: In place of those that the model has; None leaves them.
            callers: Identities that may call it besides its owner and editors, likewise; "*" is everybody.
            editors: Identities that may change it besides its owner, likewise.
            pinned: Whether replicas load it before they are ready, and keep it; None leaves it as it is.

        Raises:
            PreconditionError: The pipeline lacks its statistics, cannot be built, or fails whatever it is given.
                Nothing was changed.
            PermissionDeniedError: The name is another's.
        """
        return self._call(_publish(name, session, aliases, description, labels, callers, editors, pinned))

    def list(self, labels: Mapping[str, str] | None = None) -> list[pb.Model]:
        """Models that you may call or change, by name; with labels those that have all of them."""
        return self._call(_list(labels))

    def get(self, name: str) -> ModelStates:
        """A model, and what replicas of inference say of its versions.

        Raises:
            NotFoundError: There is none of that name, or not for you.
        """
        return self._call(_get(name))

    def set_alias(self, name: str, alias: str, targets: Targets, *, revision: int | None = None) -> pb.Model:
        """Set where an alias points, and keep where it pointed for `roll_back_alias`.

        Args:
            name: Of the model.
            alias: The alias; calls that name no version take "stable".
            targets: A version, or percentages by version that sum up to 100.
            revision: The model's, if it must still have that.

        Raises:
            ConflictError: The model has another revision.
            NotFoundError: There is no such model or version.
        """
        return self._call(_set_alias(name, alias, targets, revision))

    def roll_back_alias(self, name: str, alias: str) -> pb.Model:
        """Swap an alias with where it pointed before.

        Raises:
            PreconditionError: It pointed nowhere before, or at a version that is not there any more.
        """
        return self._call(_roll_back_alias(name, alias))

    def remove_alias(self, name: str, alias: str) -> pb.Model:
        """Remove an alias."""
        return self._call(_remove_alias(name, alias))

    def update(
        self,
        name: str,
        *,
        labels: Mapping[str, str] | None = None,
        callers: Sequence[str] | None = None,
        editors: Sequence[str] | None = None,
        pinned: bool | None = None,
    ) -> pb.Model:
        """Change what a model has; what is None is left as it is."""
        return self._call(_update(name, labels, callers, editors, pinned))

    def unpublish(self, name: str, version: int | None = None) -> None:
        """Take a version, or the whole model, out of service.

        Raises:
            PreconditionError: An alias points at the version.
        """
        self._call(_unpublish(name, version))


class AsyncModels:
    """As `Models`, for `AsyncClient`: each method is to be awaited.

    Args:
        call: Makes one call.
    """

    def __init__(self, call: Callable[[Call[Any]], Awaitable[Any]]) -> None:
        self._call = call

    async def publish(
        self,
        name: str,
        session: _HasId | str,
        *,
        aliases: Sequence[str] = (),
        description: str = "",
        labels: Mapping[str, str] | None = None,
        callers: Sequence[str] | None = None,
        editors: Sequence[str] | None = None,
        pinned: bool | None = None,
    ) -> Publication:
        """As `Models.publish`."""
        return await self._call(_publish(name, session, aliases, description, labels, callers, editors, pinned))

    async def list(self, labels: Mapping[str, str] | None = None) -> list[pb.Model]:
        """As `Models.list`."""
        return await self._call(_list(labels))

    async def get(self, name: str) -> ModelStates:
        """As `Models.get`."""
        return await self._call(_get(name))

    async def set_alias(self, name: str, alias: str, targets: Targets, *, revision: int | None = None) -> pb.Model:
        """As `Models.set_alias`."""
        return await self._call(_set_alias(name, alias, targets, revision))

    async def roll_back_alias(self, name: str, alias: str) -> pb.Model:
        """As `Models.roll_back_alias`."""
        return await self._call(_roll_back_alias(name, alias))

    async def remove_alias(self, name: str, alias: str) -> pb.Model:
        """As `Models.remove_alias`."""
        return await self._call(_remove_alias(name, alias))

    async def update(
        self,
        name: str,
        *,
        labels: Mapping[str, str] | None = None,
        callers: Sequence[str] | None = None,
        editors: Sequence[str] | None = None,
        pinned: bool | None = None,
    ) -> pb.Model:
        """As `Models.update`."""
        return await self._call(_update(name, labels, callers, editors, pinned))

    async def unpublish(self, name: str, version: int | None = None) -> None:
        """As `Models.unpublish`."""
        await self._call(_unpublish(name, version))


def _publish(
    name: str,
    session: _HasId | str,
    aliases: Sequence[str],
    description: str,
    labels: Mapping[str, str] | None,
    callers: Sequence[str] | None,
    editors: Sequence[str] | None,
    pinned: bool | None,
) -> Call[Publication]:
    request = pb.PublishRequest(
        name=name,
        session_id=session if isinstance(session, str) else session.id,
        aliases=aliases,
        description=description,
        labels=labels,
        callers=None if callers is None else pb.Identities(names=callers),
        editors=None if editors is None else pb.Identities(names=editors),
    )
    if pinned is not None:
        request.pinned = pinned
    return Call("Publish", request, _publication_in, _STUB)


def _list(labels: Mapping[str, str] | None) -> Call[list[pb.Model]]:
    return Call("ListModels", pb.ListModelsRequest(labels=labels), lambda reply: list(reply.models), _STUB)


def _get(name: str) -> Call[ModelStates]:
    request = pb.GetModelRequest(name=name)
    return Call("GetModel", request, lambda reply: ModelStates(reply.model, tuple(reply.states)), _STUB)


def _set_alias(name: str, alias: str, targets: Targets, revision: int | None) -> Call[pb.Model]:
    shares = {targets: _ALL} if isinstance(targets, int) else targets
    messages = [pb.Share(version=version, percent=percent) for version, percent in shares.items()]
    request = pb.SetAliasRequest(name=name, alias=alias, targets=messages, revision=revision)
    return Call("SetAlias", request, _model_in, _STUB)


def _roll_back_alias(name: str, alias: str) -> Call[pb.Model]:
    return Call("RollBackAlias", pb.RollBackAliasRequest(name=name, alias=alias), _model_in, _STUB)


def _remove_alias(name: str, alias: str) -> Call[pb.Model]:
    return Call("RemoveAlias", pb.RemoveAliasRequest(name=name, alias=alias), _model_in, _STUB)


def _update(
    name: str,
    labels: Mapping[str, str] | None,
    callers: Sequence[str] | None,
    editors: Sequence[str] | None,
    pinned: bool | None,
) -> Call[pb.Model]:
    wanted = {"labels": labels, "callers": callers, "editors": editors, "pinned": pinned}
    mask = FieldMask(paths=[field for field, value in wanted.items() if value is not None])
    model = pb.Model(name=name, labels=labels, callers=callers, editors=editors, pinned=pinned or False)
    return Call("UpdateModel", pb.UpdateModelRequest(model=model, mask=mask), _model_in, _STUB)


def _unpublish(name: str, version: int | None) -> Call[None]:
    return Call("Unpublish", pb.UnpublishRequest(name=name, version=version), lambda reply: None, _STUB)


def _publication_in(reply: Any) -> Publication:
    return Publication(reply.model, reply.version, reply.existed, reply.untried)


def _model_in(reply: Any) -> pb.Model:
    return reply.model
