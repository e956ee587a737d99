"""Calls of published models: the door through which each protocol goes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Unpack

from swath_inference.calls import CallOptions, CallsByHolder
from swath_inference.dataplane.request import Batch
from swath_inference.dataplane.runner import Runner, Target, known_of, let_pass
from swath_inference.dataplane.streaming.streams import OpenStreams, Stream
from swath_inference.published.counts import OK, ModelCounts, code_of
from swath_inference.published.loading import Loader
from swath_inference.published.model import Published
from swath_inference.published.models import PublishedModels

if TYPE_CHECKING:
    from swath.engine.graph.structure.parts import Parts
    from swath_inference.dataplane.models import Model

Started = Callable[[float, int], None]
"""Called with the seconds for which a call has waited, and the calls that are computed with it, when its turn comes."""


class ModelCalls:
    """Runs versions of published models over batches.

    Args:
        models: What is published.
        loader: Loads them.
        runner: Computes them.

    Attributes:
        models: As given.
        counts: What the calls were.
        streams: Streams of frames that are open, by the holders of their versions.
    """

    def __init__(self, models: PublishedModels, loader: Loader, runner: Runner) -> None:
        self.models = models
        self.counts = ModelCounts(models)
        self.streams = OpenStreams()
        self._loader = loader
        self._runner = runner
        self._calls = CallsByHolder[str]()

    async def infer(
        self,
        published: Published,
        read: Callable[[], Batch],
        only: Sequence[str],
        write: Callable[[dict[str, Any]], Any],
        unknown: Callable[[Sequence[str]], None] = let_pass,
        **options: Unpack[CallOptions],
    ) -> Any:
        """Run a version over one batch, and count that as a call of it; arguments and errors as of `Runner.infer`.

        Args:
            published: The version, as `PublishedModels.find` has returned it for this call.

        Raises:
            Precondition: The version cannot be loaded, ever.
            Unavailable: It cannot be loaded at the moment.
        """
        # Flat, as the runner is, and for the same reason.
        counts, began, code = self.counts.of(published), time.monotonic(), OK
        try:
            return await self.infer_part(published, read, only, write, unknown, **options)
        except BaseException as error:
            code = code_of(error)
            raise
        finally:
            counts.end(code, time.monotonic() - began)

    async def infer_part(
        self,
        published: Published,
        read: Callable[[], Batch],
        only: Sequence[str],
        write: Callable[[dict[str, Any]], Any],
        unknown: Callable[[Sequence[str]], None] = let_pass,
        started: Started | None = None,
        **options: Unpack[CallOptions],
    ) -> Any:
        """Run a version over a part of what is counted as a call elsewhere; arguments and errors as of `infer`.

        Args:
            started: As of `Target`, for who counts calls beside the counts here.
        """
        self._calls.enter(published.holder)
        try:
            if not self._loader.is_ready(published):
                await self._loader.ready(published)
            return await self._runner.infer(self._target(published, started), read, only, write, unknown, **options)
        finally:
            self._leave(published)

    async def parts_of(
        self, published: Published, only: Sequence[str], unknown: Callable[[Sequence[str]], None]
    ) -> Parts:
        """Return what parts of a batch have to do with one another in a version's pipeline.

        Args:
            published: The version.
            only: Outputs wanted, as of `infer`.
            unknown: As of `infer`.

        Raises:
            Precondition, Unavailable: As of `infer`.
        """
        with self.using(published):
            model = await self.model(published)
            return model.pipeline.parts_of(known_of(model, only, unknown))

    async def model(self, published: Published) -> Model:
        """Return what a version runs on, loaded if need be.

        Raises:
            Precondition, Unavailable: As of `infer`.
        """
        await self._loader.ready(published)
        return await self._runner.model(self._target(published))

    @contextmanager
    def stream(self, published: Published) -> Iterator[Stream]:
        """Open a stream of frames, which ends when the version is unpublished.

        Raises:
            Unavailable: This replica drains.
        """
        with (
            self.using(published),
            self.streams.holding(published.holder, Stream(self._runner.load_own, self._runner.drop)) as stream,
        ):
            yield stream

    @contextmanager
    def using(self, published: Published) -> Iterator[None]:
        """Keep what is loaded for a version until the end of the block, if it is unpublished meanwhile."""
        self._calls.enter(published.holder)
        try:
            yield
        finally:
            self._leave(published)

    @contextmanager
    def counted(self, published: Published) -> Iterator[None]:
        """Count the block as a call of a version, however it ends."""
        began, code = time.monotonic(), OK
        try:
            yield
        except BaseException as error:
            code = code_of(error)
            raise
        finally:
            self.counts.of(published).end(code, time.monotonic() - began)

    async def release(self, published: Published) -> None:
        """Free what only a version has, as soon as no call runs on it; the next one loads it again."""
        if self._runner.release(published.holder):
            await self._runner.free_memory()
        self._loader.arrange()

    async def gone(self, published: Published) -> None:
        """End the streams of a version that was unpublished, and free what it had; calls that run are answered."""
        self.streams.stop(published.holder, self.models.no_version(published.name, str(published.version)))
        if published.holder not in self._calls and self._runner.release(published.holder):
            await self._runner.free_memory()

    def _leave(self, published: Published) -> None:
        # What this call has kept, or brought back, after the version was unpublished goes.
        if self._calls.leave(published.holder) and not self.models.has(published):
            self._runner.release(published.holder)

    def _target(self, published: Published, also: Started | None = None) -> Target:
        counted = self.counts.of(published).started

        def both(waited: float, together: int) -> None:
            counted(waited, together)
            if also is not None:
                also(waited, together)

        started = counted if also is None else both
        return Target(published.key, published.holder, session=False, started=started)
