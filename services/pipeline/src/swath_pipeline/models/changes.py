"""How a model becomes another one: each function returns the model as it is to be, or says why it cannot be."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from swath.errors import Exhausted, ModelNotFound, Precondition
from swath.published.model import Alias, Model, ModelVersion, Share
from swath.published.names import shown
from swath_pipeline.models.requests import checked_callers, checked_editors, checked_labels

MAX_VERSIONS = 1000
MAX_ALIASES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a model is to have; None where it is left as it is.

    Attributes:
        labels: Labels.
        callers: Who may call it.
        editors: Who may change it.
        pinned: Whether replicas load it before they are ready, and keep it.
    """

    labels: Mapping[str, str] | None = None
    callers: Sequence[str] | None = None
    editors: Sequence[str] | None = None
    pinned: bool | None = None

    def checked(self) -> Wishes:
        """Return them as they are kept.

        Raises:
            InvalidInput: One is not to be had.
        """
        return Wishes(
            labels=None if self.labels is None else checked_labels(self.labels),
            callers=None if self.callers is None else checked_callers(self.callers),
            editors=None if self.editors is None else checked_editors(self.editors),
            pinned=self.pinned,
        )

    def granted(self, model: Model) -> Model:
        """Return a model that has them."""
        wanted = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        return dataclasses.replace(model, **{name: value for name, value in wanted.items() if value is not None})


def with_version(model: Model, version: ModelVersion) -> tuple[Model, ModelVersion]:
    """Add a version, unless there is one of the same digests; return the model and the one that it has.

    Raises:
        Exhausted: There are as many as there may be.
    """
    for each in model.versions:
        if each.digests == version.digests:
            return model, each
    if len(model.versions) >= MAX_VERSIONS:
        raise Exhausted(f"model {model.name!r} has {MAX_VERSIONS} versions, which is the most: unpublish some")
    return dataclasses.replace(model, versions=(*model.versions, version)), version


def without_version(model: Model, number: int) -> Model:
    """Remove a version.

    Raises:
        ModelNotFound: There is none of that number.
        Precondition: An alias points at it.
    """
    _require_versions(model, [number])
    if pointing := [each.name for each in model.aliases if any(share.version == number for share in each.targets)]:
        raise Precondition(
            f"version {number} of model {model.name!r} cannot be unpublished while alias {', '.join(pointing)} points "
            "at it: set the alias to another version, or remove it"
        )
    return dataclasses.replace(model, versions=tuple(each for each in model.versions if each.number != number))


def pointed(model: Model, name: str, targets: tuple[Share, ...]) -> Model:
    """Point an alias at versions. One that points there already keeps where it pointed before.

    Raises:
        ModelNotFound: There is no such version.
        Exhausted: There are as many aliases as there may be.
    """
    _require_versions(model, [share.version for share in targets])
    present = model.alias(name)
    if present is not None:
        return model if present.targets == targets else _with_alias(model, Alias(name, targets, present.targets))
    if len(model.aliases) >= MAX_ALIASES:
        raise Exhausted(f"model {model.name!r} has {MAX_ALIASES} aliases, which is the most: remove one")
    return _with_alias(model, Alias(name, targets))


def rolled_back(model: Model, name: str) -> Model:
    """Swap an alias with where it pointed before.

    Raises:
        ModelNotFound: There is no such alias.
        Precondition: It pointed nowhere before, or at a version that is not there any more.
    """
    present = _alias(model, name)
    where = f"alias {name} of model {model.name!r}"
    if not present.previous:
        raise Precondition(f"{where} cannot be rolled back: it pointed nowhere before")
    if gone := [share.version for share in present.previous if model.version(share.version) is None]:
        raise Precondition(f"{where} cannot be rolled back: version {gone[0]}, where it pointed before, is unpublished")
    return _with_alias(model, Alias(name, present.previous, present.targets))


def without_alias(model: Model, name: str) -> Model:
    """Remove an alias.

    Raises:
        ModelNotFound: There is no such alias.
    """
    gone = _alias(model, name)
    return dataclasses.replace(model, aliases=tuple(each for each in model.aliases if each is not gone))


def _with_alias(model: Model, alias: Alias) -> Model:
    others = [each for each in model.aliases if each.name != alias.name]
    return dataclasses.replace(model, aliases=tuple(sorted((*others, alias), key=lambda each: each.name)))


def _alias(model: Model, name: str) -> Alias:
    found = model.alias(name)
    if found is None:
        there = ", ".join(each.name for each in model.aliases) or "none"
        raise ModelNotFound(f"Model {model.name!r} has no alias {shown(name)}: aliases are {there}")
    return found


def _require_versions(model: Model, numbers: Collection[int]) -> None:
    there = [version.number for version in model.versions]
    if missing := sorted(set(numbers) - set(there)):
        raise ModelNotFound(
            f"Model {model.name!r} has no version {missing[0]}: versions are {', '.join(map(str, there)) or 'none'}"
        )
