"""What callers do with published models."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from swath.errors import RevisionConflict
from swath.published.model import Model, ModelVersion, ReplicaState, Share
from swath.published.names import check_alias, check_model_name
from swath.rpc.shielded import shielded
from swath.sessions.model import Session, Sessions
from swath.sessions.preconditions import pipeline_of
from swath_pipeline.artifacts import PipelineArtifacts
from swath_pipeline.models.access import changeable, identity, is_seen, publishable, seen
from swath_pipeline.models.changes import (
    Wishes,
    pointed,
    rolled_back,
    with_version,
    without_alias,
    without_version,
)
from swath_pipeline.models.probe import probe
from swath_pipeline.models.requests import checked_description, checked_shares
from swath_pipeline.models.store import ModelStore
from swath_pipeline.settings import PipelineSettings

_CLAIM_S = 3600.0
"""Longer than any pipeline takes to be built."""
_ALL = 100.0


class Publication(NamedTuple):
    """What came of publishing.

    Attributes:
        model: The model then.
        version: Number of the version that holds what was published.
        existed: Whether that was there before.
        untried: Why it was not run once before, in words; empty where it was.
    """

    model: Model
    version: int
    existed: bool
    untried: str = ""


class ModelService:
    """Decides who publishes, changes and sees which models.

    Args:
        store: The tables.
        sessions: Sessions as callers see them.
        artifacts: Where documents and weights are.
        settings: Quotas.
    """

    def __init__(
        self, store: ModelStore, sessions: Sessions, artifacts: PipelineArtifacts, settings: PipelineSettings
    ) -> None:
        self._store = store
        self._sessions = sessions
        self._artifacts = artifacts
        self._settings = settings

    async def publish(
        self, name: str, session_id: str, *, aliases: Sequence[str] = (), description: str = "", wishes: Wishes
    ) -> Publication:
        """Publish what a session holds as a version of a model, which is made if there is none of that name.

        Args:
            name: Of the model.
            session_id: The session.
            aliases: Point at the version then.
            description: Of a version that is new.
            wishes: What the model is to have.

        Raises:
            InvalidInput: A name or a wish is not to be had.
            SessionNotFound: The caller has no such session.
            PipelineMissing: It has no pipeline.
            NotFitted, Precondition: The pipeline cannot serve. Nothing was changed.
            Denied: The name is another's.
            Exhausted: The model has as many versions as it may have, or the caller as many models.
        """
        check_model_name(name)
        for alias in aliases:
            check_alias(alias)
        checked_description(description)
        wishes = wishes.checked()
        session = await self._sessions.get(session_id)
        pipeline_of(session)
        who = identity()
        # Whoever may not is told before the work.
        publishable(await self._store.find(name), name, who)
        async with self._claimed(session) as (session, claim):
            made_of = pipeline_of(session), session.weights_digest
            inputs, outputs, untried = await asyncio.to_thread(probe, self._artifacts, *made_of)
            # Which it is follows from what is there when it is written.
            publication: Publication | None = None

            def decide(model: Model | None, number: int) -> Model:
                nonlocal publication
                rest = inputs, outputs, time.time(), who or "", description, session.plugins
                after, version = with_version(publishable(model, name, who), ModelVersion(number, *made_of, *rest))
                for alias in aliases:
                    after = pointed(after, alias, (Share(version.number, _ALL),))
                publication = Publication(after, version.number, version.number != number, untried)
                return wishes.granted(after)

            after = (await self._store.change(name, decide, claim=claim, most=self._settings.quota_models)).after
        assert after is not None
        assert publication is not None
        return publication._replace(model=after)

    async def list(self, labels: Mapping[str, str]) -> list[Model]:
        """Return the models that the caller may call or change, by name.

        Args:
            labels: Labels that a model must have, all of them.
        """
        who = identity()
        return [
            model
            for model in await self._store.all()
            if is_seen(model, who) and all(model.labels.get(key) == value for key, value in labels.items())
        ]

    async def get(self, name: str) -> tuple[Model, list[ReplicaState]]:
        """Return a model, and what replicas of inference say of its versions.

        Raises:
            ModelNotFound: There is none, or not for the caller.
        """
        model = seen(await self._store.find(check_model_name(name)), name, identity())
        numbers = {version.number for version in model.versions}
        return model, [state for state in await self._store.states(name) if state.version in numbers]

    async def set_alias(self, name: str, alias: str, targets: Sequence[Share], revision: int | None = None) -> Model:
        """Set where an alias points, and keep where it pointed.

        Args:
            name: Of the model.
            alias: The alias.
            targets: Where it is to point.
            revision: The model's, if it must still have that.

        Raises:
            InvalidInput: The alias is no name, or the shares are none.
            ModelNotFound: There is no such model or version, or not for the caller.
            Denied: The caller may only call the model.
            RevisionConflict: The model has another revision.
            Exhausted: The model has as many aliases as it may have.
        """
        check_alias(alias)
        shares = checked_shares(alias, targets)

        def decide(model: Model) -> Model:
            if revision is not None and revision != model.revision:
                raise RevisionConflict(
                    f"Model {name!r} was changed meanwhile: expected revision {revision}, got {model.revision}"
                )
            return pointed(model, alias, shares)

        return await self._change(name, decide)

    async def roll_back_alias(self, name: str, alias: str) -> Model:
        """Swap an alias with where it pointed before.

        Raises:
            ModelNotFound: There is no such model or alias, or not for the caller.
            Denied: The caller may only call the model.
            Precondition: It pointed nowhere before, or at a version that is not there any more.
        """
        return await self._change(name, lambda model: rolled_back(model, alias))

    async def remove_alias(self, name: str, alias: str) -> Model:
        """Remove an alias.

        Raises:
            ModelNotFound: There is no such model or alias, or not for the caller.
            Denied: The caller may only call the model.
        """
        return await self._change(name, lambda model: without_alias(model, alias))

    async def update(self, name: str, wishes: Wishes) -> Model:
        """Change what a model has.

        Raises:
            InvalidInput: A wish is not to be had.
            ModelNotFound: There is no such model, or not for the caller.
            Denied: The caller may only call the model.
        """
        return await self._change(name, wishes.checked().granted)

    async def unpublish(self, name: str, number: int | None = None) -> None:
        """Take a version, or the whole model, out of service.

        Raises:
            ModelNotFound: There is no such model or version, or not for the caller.
            Denied: The caller may only call the model.
            Precondition: An alias points at the version.
        """
        if number is not None:
            await self._change(name, lambda model: without_version(model, number))
            return

        who = identity()

        def remove(model: Model | None, _: int) -> None:
            changeable(model, name, who)

        await self._store.change(check_model_name(name), remove)

    async def _change(self, name: str, decide: Callable[[Model], Model]) -> Model:
        check_model_name(name)
        who = identity()
        after = (await self._store.change(name, lambda model, _: decide(changeable(model, name, who)))).after
        assert after is not None
        return after

    @asynccontextmanager
    async def _claimed(self, session: Session) -> AsyncIterator[tuple[Session, str]]:
        """Claim the artifacts of a session for a change that ends the claim; give the session as it is then.

        It is read again once the claim is written. So whoever looks for what refers to artifacts, in sessions first and
        in models then, finds these in one place or the other.
        """
        while True:
            made_of = pipeline_of(session), session.weights_digest
            claim = await self._store.claim(*made_of, _CLAIM_S)
            try:
                session = await self._sessions.get(session.id)
                if made_of == (pipeline_of(session), session.weights_digest):
                    yield session, claim
                    return
            except BaseException:
                await shielded(self._store.drop_claim(claim))
                raise
            await self._store.drop_claim(claim)
