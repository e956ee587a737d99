"""The published models that this replica knows of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from swath.errors import InvalidInput, ModelNotFound, Unavailable
from swath.published.model import Change, Model, State
from swath.published.names import check_alias, no_model, shown
from swath_inference.dataplane.models import Key
from swath_inference.published.model import Published, holder_of
from swath_inference.published.routes import UNNAMED, Route, in_force

_LONG = 129
"""Digits from which on they are no number that anybody wrote."""


@dataclass(frozen=True, slots=True)
class Status:
    """How far this replica is with a version.

    Attributes:
        state: How far.
        reason: Why it could not be loaded, in words.
        memory: Bytes that it takes on the device.
    """

    state: State = State.KNOWN
    reason: str = ""
    memory: int = 0


@dataclass(frozen=True, slots=True)
class _Entry:
    model: Model
    versions: Mapping[int, Published]
    routes: Mapping[str, Route]


class PublishedModels:
    """What is published, held in memory: finding a model asks nobody and waits for nothing.

    Who follows the catalogue gives it what has changed (`apply`), and who loads models how far they are (`tell`).
    """

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] | None = None
        # By what a version is made of as well: of a model that is published anew its number says nothing.
        self._statuses: dict[tuple[str, Key], Status] = {}

    @property
    def known(self) -> bool:
        """Whether the catalogue was heard of yet."""
        return self._entries is not None

    @property
    def catalogue(self) -> tuple[Model, ...]:
        """All models as the catalogue has told of them last."""
        return tuple(entry.model for entry in (self._entries or {}).values())

    def find(self, name: str, version: str = "", caller: str | None = None) -> Published:
        """Return the version of a model that a call is to run on. Never waits.

        Args:
            name: Of the model.
            version: A number is that version, another text an alias; empty is the alias "stable", or the newest version
                where there is none. Among the versions of an alias each call draws by their shares.
            caller: Who calls; None where nobody is asked.

        Raises:
            InvalidInput: The version is neither a number from 1 on nor a name.
            ModelNotFound: There is no such model or version, or not for this caller.
            Unavailable: The catalogue was not heard of yet.
        """
        number = int(version) if version.isascii() and version.isdecimal() and len(version) < _LONG else None
        if number == 0:
            raise InvalidInput(
                f"version of model {shown(name)}: expected a number from 1 on, or an alias, got {version}"
            )
        if version and number is None:
            check_alias(version)
        entry = self._known().get(name)
        if entry is None or not entry.model.callable_by(caller):
            raise no_model(name, version)
        if number is None:
            route = entry.routes.get(version or UNNAMED)
            number = None if route is None else route.pick()
        found = None if number is None else entry.versions.get(number)
        if found is None:
            raise self.no_version(name, version)
        return found

    def no_version(self, name: str, version: str) -> ModelNotFound:
        """Return the error for a version that a model does not have."""
        there = ", ".join(map(str, self.versions(name))) or "none"
        named = ", ".join(sorted(filter(None, self.routes(name)))) or "none"
        return ModelNotFound(
            f"Model {shown(name)} has no version {shown(version)}: versions are {there}; aliases are {named}"
        )

    def all(self, caller: str | None = None) -> list[Published]:
        """Return all versions of all models that somebody may call, by name and number.

        Raises:
            Unavailable: The catalogue was not heard of yet.
        """
        entries = sorted(self._known().items())
        return [each for _, entry in entries if entry.model.callable_by(caller) for each in entry.versions.values()]

    def versions(self, name: str) -> Mapping[int, Published]:
        """Return the versions of a model by their numbers; none where it is not published."""
        entry = (self._entries or {}).get(name)
        return entry.versions if entry is not None else {}

    def has(self, published: Published) -> bool:
        """Whether a version is still published."""
        found = self.versions(published.name).get(published.version)
        return found is not None and found.key == published.key

    def routes(self, name: str) -> Mapping[str, Route]:
        """Return how calls of a model go at the moment, by alias; by `UNNAMED` those that name no version."""
        entry = (self._entries or {}).get(name)
        return entry.routes if entry is not None else {}

    def status(self, published: Published) -> Status:
        """Return how far this replica is with a version."""
        return self._statuses.get((published.holder, published.key), Status())

    def apply(self, change: Change) -> None:
        """Take over what the catalogue tells."""
        entries = {} if change.complete or self._entries is None else dict(self._entries)
        for model in change.models:
            entries[model.name] = self._entry(model)
        for name in change.removed:
            entries.pop(name, None)
        self._entries = entries
        there = {(each.holder, each.key) for entry in entries.values() for each in entry.versions.values()}
        self._statuses = {each: status for each, status in self._statuses.items() if each in there}

    def tell(self, name: str, statuses: Mapping[int, Status]) -> None:
        """Take over how far this replica is with versions of a model."""
        entry = (self._entries or {}).get(name)
        if entry is None or self._entries is None:
            return
        for version, status in statuses.items():
            if (found := entry.versions.get(version)) is not None:
                self._statuses[found.holder, found.key] = status
        self._entries[name] = self._entry(entry.model)

    def _known(self) -> dict[str, _Entry]:
        if self._entries is None:
            raise Unavailable(
                "this replica does not know yet what is published: the pipeline service cannot be reached",
                retry_after=1.0,
            )
        return self._entries

    def _entry(self, model: Model) -> _Entry:
        numbers = tuple(version.number for version in model.versions)
        versions = {}
        for version in model.versions:
            holder = holder_of(model.name, version.number)
            status = self._statuses.get((holder, version.digests), Status())
            versions[version.number] = Published(
                name=model.name,
                version=version.number,
                versions=numbers,
                key=version.digests,
                holder=holder,
                inputs=version.inputs,
                outputs=version.outputs,
                labels=model.labels,
                state=status.state,
                reason=status.reason,
            )
        known = (self._entries or {}).get(model.name)
        routes = in_force(model, lambda number: versions[number].state, {} if known is None else known.routes)
        return _Entry(model, versions, dict(routes))
