"""The catalogue is followed, and told how far this replica is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

import structlog

from swath.errors import SwathError
from swath.published.model import Change, PublishedCatalogue, ReplicaState, State
from swath.rpc.server.health import MODEL
from swath_inference.published.calls import ModelCalls
from swath_inference.published.loading import Loader
from swath_inference.published.routes import UNNAMED

REPORT_INTERVAL_S = 10.0
_TOLD_FOR = 3
"""How many reports may be lost before what was said is forgotten."""
_GATHERED_S = 0.05
"""What changes within this time of a change is said with it."""
_LAST_WORD_S = 1.0

_log = structlog.get_logger("swath.inference")


class Follower:
    """Keeps what is published up to date, loads what is pinned, and says how far this replica is.

    While the catalogue cannot be reached, all goes on as it was last known.

    Args:
        catalogue: What is published.
        calls: Of what is published.
        loader: Keeps that up to date, and loads it.
        replica: A name of this process that no other has.
        wait_s: Seconds that a start waits for the catalogue.
    """

    def __init__(
        self, catalogue: PublishedCatalogue, calls: ModelCalls, loader: Loader, replica: str, wait_s: float
    ) -> None:
        self._catalogue = catalogue
        self._calls = calls
        self._models = calls.models
        self._loader = loader
        self._replica = replica
        self._wait_s = wait_s
        self._heard = asyncio.Event()
        self._news = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._publish: Callable[[Mapping[str, bool]], Awaitable[None]] | None = None

    def to_health(self, publish: Callable[[Mapping[str, bool]], Awaitable[None]]) -> None:
        """Have the names that health has of models published from now on."""
        self._publish = publish

    def changed(self) -> None:
        """Have what this replica says of its models said anew, soon."""
        self._news.set()

    async def start(self) -> None:
        """Begin to follow."""
        self._tasks = [asyncio.create_task(self._catalogue.watch(self._told)), asyncio.create_task(self._report())]

    async def first(self) -> None:
        """Return when what is pinned has been loaded, or has failed.

        Where the catalogue cannot be reached for as long as a start waits for it, this replica serves sessions without
        it: models are UNAVAILABLE until it can.
        """
        try:
            async with asyncio.timeout(self._wait_s):
                await self._heard.wait()
        except TimeoutError:
            _log.warning(
                "the catalogue of published models cannot be reached: sessions are served, models are not yet",
                seconds=self._wait_s,
            )
            return
        await self._loader.pinned_tried()

    async def stop(self) -> None:
        """Follow no more. What was said is forgotten soon."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with suppress(asyncio.CancelledError):
                await task
        await self._loader.stop()
        if self._models.known:
            with suppress(SwathError, TimeoutError):
                async with asyncio.timeout(_LAST_WORD_S):
                    await self._catalogue.report(self._replica, (), REPORT_INTERVAL_S)

    async def _told(self, change: Change) -> None:
        for each in self._loader.apply(change):
            await self._calls.gone(each)
        self._loader.arrange()
        self._calls.counts.forget()
        self._heard.set()

    async def _report(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(REPORT_INTERVAL_S):
                    await self._news.wait()
                    await asyncio.sleep(_GATHERED_S)
            if not self._models.known:
                continue
            # Which versions had to make room for others is seen here.
            self._loader.arrange()
            self._news.clear()
            if self._publish is not None:
                await self._publish(self.health())
            try:
                async with asyncio.timeout(REPORT_INTERVAL_S):
                    await self._catalogue.report(self._replica, self.states(), _TOLD_FOR * REPORT_INTERVAL_S)
            except (SwathError, TimeoutError) as error:
                _log.info("the catalogue was not told of the state of models", error=str(error))
            except Exception:
                # Whatever it is, it must not be the last report.
                _log.exception("the catalogue was not told of the state of models")

    def health(self) -> dict[str, bool]:
        """Return the names that health has of models, and whether calls that name no version can be computed."""
        names: dict[str, bool] = {}
        for model in self._models.catalogue:
            versions, routes = self._models.versions(model.name), self._models.routes(model.name)
            shares = routes[UNNAMED].shares if UNNAMED in routes else ()
            states = [versions[share.version].state for share in shares]
            takes = {State.READY} if model.pinned else {State.READY, State.KNOWN, State.LOADING}
            names[f"{MODEL}{model.name}"] = bool(states) and takes.issuperset(states)
        return names

    def states(self) -> list[ReplicaState]:
        """Return how far this replica is with each version."""
        return [
            ReplicaState(
                self._replica,
                each.name,
                each.version,
                each.state,
                each.reason,
                self._models.status(each).memory,
            )
            for each in self._models.all()
        ]
