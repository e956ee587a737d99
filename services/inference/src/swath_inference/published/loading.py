"""Versions of published models are loaded, kept and let go."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from contextvars import Context
from dataclasses import dataclass

import structlog

from swath.errors import InvalidInput, OutOfMemory, Precondition, SwathError, Unavailable
from swath.published.model import Change, Model, State
from swath_inference.dataplane.models import Key
from swath_inference.dataplane.models import Model as LoadedModel
from swath_inference.dataplane.runner import Runner, Target
from swath_inference.published.exercise import exercise
from swath_inference.published.model import Published
from swath_inference.published.models import PublishedModels, Status
from swath_inference.published.routes import before, wanted

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0
_LATER_S = 0.01
_AT_A_TIME = 2
"""Pinned versions that are loaded at the same time: what else there is to load waits for no more than these."""

_log = structlog.get_logger("swath.inference")


@dataclass(frozen=True, slots=True)
class _Failure:
    error: Exception
    final: bool
    pause: float
    until: float


class Loader:
    """Loads pinned versions as soon as they are published, others when they are called.

    Each version is loaded once at a time, however many wait for it. One that fails is tried again after a pause, which
    grows, unless what it is made of is at fault: that never changes. Until then whoever calls it is told why, and
    aliases stay where they were.

    Args:
        models: What is published.
        runner: Loads and keeps them.
        changed: Called when a version is further than before.
    """

    def __init__(self, models: PublishedModels, runner: Runner, changed: Callable[[], None] = lambda: None) -> None:
        self._models = models
        self._runner = runner
        self._changed = changed
        self._loads: dict[tuple[str, Key], asyncio.Task[None]] = {}
        self._failures: dict[tuple[str, Key], _Failure] = {}
        self._pinned: set[str] = set()
        self._room = asyncio.Semaphore(_AT_A_TIME)
        self._retries: dict[tuple[str, Key], asyncio.TimerHandle] = {}
        self._progress = asyncio.Event()

    def apply(self, change: Change) -> list[Published]:
        """Take over what the catalogue tells, and return the versions that are gone; `arrange` is to follow."""
        old = self._every()
        self._models.apply(change)
        gone = [each for each in old if not self._models.has(each)]
        for each in gone:
            self._forget((each.holder, each.key))
        return gone

    def arrange(self) -> None:
        """Begin to load what is pinned and not here, and see which versions are no longer loaded."""
        pinned: dict[str, Published] = {}
        for model in self._models.catalogue:
            versions = self._models.versions(model.name)
            statuses = {
                number: Status()
                for number, each in versions.items()
                if each.state is State.READY and not self.is_ready(each)
            }
            if statuses:
                self._tell(model.name, statuses)
                versions = self._models.versions(model.name)
            pinned.update((versions[number].holder, versions[number]) for number in self._kept(model, versions))
        for holder in self._pinned - pinned.keys():
            self._runner.unpin(holder)
        fresh = pinned.keys() - self._pinned
        self._pinned = set(pinned)
        for holder, each in pinned.items():
            if (each.state is not State.READY or holder in fresh) and self._failure(each) is None:
                self._begin(each)
        self._changed()

    def is_ready(self, published: Published) -> bool:
        """Whether a version is loaded."""
        return self._models.status(published).state is State.READY and self._runner.loaded(published.key)

    async def ready(self, published: Published) -> None:
        """Return once a version is loaded; it is loaded if need be.

        Raises:
            Precondition: It cannot be loaded, ever.
            Unavailable: It cannot be loaded at the moment.
        """
        if self.is_ready(published) or not self._models.has(published):
            # A call that began before its version was unpublished brings back what it needs.
            return
        if (failure := self._failure(published)) is None:
            # One waiting call that is cancelled must not take the load away from the others.
            await asyncio.shield(self._begin(published))
            failure = self._failures.get((published.holder, published.key))
        if failure is not None:
            raise _not_loaded(published, failure)

    async def pinned_tried(self) -> None:
        """Return when each pinned version has been loaded or has failed."""
        while any(not done for done in self._done()):
            self._progress.clear()
            await self._progress.wait()

    async def stop(self) -> None:
        """Load no more."""
        for timer in self._retries.values():
            timer.cancel()
        loads = list(self._loads.values())
        for load in loads:
            load.cancel()
        await asyncio.gather(*loads, return_exceptions=True)

    def _done(self) -> Iterator[bool]:
        for each in self._every():
            if each.holder in self._pinned:
                yield each.state in (State.READY, State.FAILED)

    def _every(self) -> list[Published]:
        return self._models.all() if self._models.known else []

    def _kept(self, model: Model, versions: Mapping[int, Published]) -> set[int]:
        """Return the versions of a model that are to be loaded whether they are called or not."""
        if not model.pinned:
            return set()
        earlier = before(model)
        kept: set[int] = set()
        for name, shares in wanted(model).items():
            targets = {share.version for share in shares if share.version in versions}
            kept |= targets
            # What answers until these are loaded.
            now = self._models.routes(model.name).get(name)
            instead = now.shares if now is not None else ()
            if any(versions[number].state is State.FAILED for number in targets):
                # After a start nothing does yet: what answered before.
                instead = (*instead, *earlier.get(name, ()))
            kept |= {share.version for share in instead if share.version in versions}
        return kept

    def _failure(self, published: Published) -> _Failure | None:
        """Return why a version is not to be tried now; None where it is."""
        failure = self._failures.get((published.holder, published.key))
        if failure is None or (not failure.final and time.monotonic() >= failure.until):
            return None
        return failure

    def _begin(self, published: Published) -> asyncio.Task[None]:
        what = (published.holder, published.key)
        if what not in self._loads:
            # It belongs to no call, nor to the trace of the one that happens to begin it.
            load = asyncio.create_task(self._load(published), context=Context())
            self._loads[what] = load
            load.add_done_callback(lambda _: self._loads.pop(what, None))
        return self._loads[what]

    async def _load(self, published: Published) -> None:
        name, number, what = published.name, published.version, (published.holder, published.key)
        # One that has failed says why until it is loaded.
        if published.state is State.KNOWN:
            self._tell(name, {number: Status(State.LOADING)})
        try:
            model = await self._kept_model(published)
        except Exception as error:
            self._runner.release(published.holder)
            self._failed(published, error)
        else:
            self._failures.pop(what, None)
            if self._models.has(published):
                self._tell(name, {number: Status(State.READY, memory=model.size)})
                _log.info("a published model is loaded", model=name, version=number)
            else:
                self._runner.release(published.holder)

    async def _kept_model(self, published: Published) -> LoadedModel:
        target = Target(published.key, published.holder, session=False)
        if published.holder in self._pinned:
            async with self._room:
                model = await self._pinned_model(target)
                await exercise(self._runner, target, model, published.inputs)
                return model
        model = await self._runner.model(target)
        # It may have been pinned meanwhile.
        return await self._runner.model(target, pinned=True) if published.holder in self._pinned else model

    async def _pinned_model(self, target: Target) -> LoadedModel:
        try:
            return await self._runner.model(target, pinned=True)
        except OutOfMemory:
            # What is pinned goes before what only happens to be loaded.
            if not await self._runner.evict():
                raise
        return await self._runner.model(target, pinned=True)

    def _failed(self, published: Published, error: Exception) -> None:
        what = (published.holder, published.key)
        last = self._failures.get(what)
        pause = _FIRST_PAUSE_S if last is None else min(2 * last.pause, _LONGEST_PAUSE_S)
        failure = _Failure(error, isinstance(error, InvalidInput | Precondition), pause, time.monotonic() + pause)
        if not self._models.has(published):
            return
        self._failures[what] = failure
        if not isinstance(error, SwathError):
            _log.exception("a published model could not be loaded", model=published.name, exc_info=error)
        else:
            _log.warning("a published model could not be loaded", model=published.name, error=error.message)
        self._tell(published.name, {published.version: Status(State.FAILED, _reason(error))})
        if not failure.final:
            loop = asyncio.get_running_loop()
            self._retries[what] = loop.call_later(pause + _LATER_S, self._again, published)
        if published.holder in self._pinned:
            # Which versions are to be there instead may be others now.
            self.arrange()

    def _again(self, published: Published) -> None:
        """Try to load a version again that an alias waits for: as long as it cannot be loaded nobody calls it."""
        model = next((each for each in self._models.catalogue if each.name == published.name), None)
        if model is None or not self._models.has(published) or self.is_ready(published):
            return
        targets = {share.version for shares in wanted(model).values() for share in shares}
        if published.holder in self._pinned or published.version in targets:
            self._begin(self._models.versions(published.name)[published.version])

    def _tell(self, name: str, statuses: dict[int, Status]) -> None:
        self._models.tell(name, statuses)
        self._progress.set()
        self._changed()

    def _forget(self, what: tuple[str, Key]) -> None:
        self._failures.pop(what, None)
        if (timer := self._retries.pop(what, None)) is not None:
            timer.cancel()


def _reason(error: Exception) -> str:
    # What is no error of ours to tell says nothing to clients: it is in the log.
    return error.message if isinstance(error, SwathError) else f"a fault of the server ({type(error).__name__})"


def _not_loaded(published: Published, failure: _Failure) -> SwathError:
    text = f"model '{published.name}' version {published.version} could not be loaded: {_reason(failure.error)}"
    if failure.final:
        return Precondition(text, metadata={"model": published.name, "version": str(published.version)})
    return Unavailable(text, retry_after=max(failure.until - time.monotonic(), 0.1))
