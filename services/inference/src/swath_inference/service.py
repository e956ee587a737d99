"""Runs the pipelines of sessions over batches."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Unpack

from swath.sessions.model import Session, Sessions
from swath.sessions.preconditions import pipeline_of
from swath.storage import ArtifactStore, Workspace
from swath_inference.calls import CallOptions, CallsByHolder
from swath_inference.dataplane.request import Batch
from swath_inference.dataplane.runner import Runner, Target, known_of, let_pass
from swath_inference.dataplane.streaming.memory import CubeMemory
from swath_inference.dataplane.streaming.streams import OpenStreams, SameThroughout, Stream
from swath_inference.profiling.profiler import Profiler
from swath_inference.settings import InferenceSettings

if TYPE_CHECKING:
    from swath.engine.graph.structure.parts import Parts

_STAGE = "inference"


class InferenceService:
    """Inference over the pipelines of sessions.

    Args:
        settings: Device and limits.
        sessions: The sessions' authority.
        artifacts: Where pipelines and weights are.
        workspace: Where nodes that write files may write.
        profiler: Where forward times are recorded.

    Attributes:
        settings: As given.
        runner: Runs the pipelines.
        streams: Streams of frames that are open.
        cubes: Memory of cubes that arrive in chunks.
    """

    def __init__(
        self,
        settings: InferenceSettings,
        sessions: Sessions,
        artifacts: ArtifactStore,
        workspace: Workspace,
        profiler: Profiler | None = None,
    ) -> None:
        self.settings = settings
        self.runner = Runner(settings, artifacts, workspace)
        self._sessions = sessions
        self.profiler = profiler or Profiler()
        self._calls = CallsByHolder[str]()
        self._closed: set[str] = set()
        self.streams = OpenStreams()
        self.cubes = CubeMemory(settings.cube_bytes)

    async def warm_up(self) -> None:
        """As `Runner.warm_up`."""
        await self.runner.warm_up()

    async def infer(
        self,
        session_id: str,
        read: Callable[[], Batch],
        only: Sequence[str],
        write: Callable[[dict[str, Any]], Any],
        unknown: Callable[[Sequence[str]], None] = let_pass,
        **options: Unpack[CallOptions],
    ) -> Any:
        """Run the session's pipeline over one batch; arguments and errors as of `Runner.infer`.

        Raises:
            SessionNotFound: No such session.
            PipelineMissing: It has no pipeline.
        """
        self._calls.enter(session_id)
        try:
            session = await self._sessions.get(session_id)
            return await self.runner.infer(self._target(session), read, only, write, unknown, **options)
        finally:
            self._leave(session_id)

    @asynccontextmanager
    async def stream(self, session_id: str) -> AsyncIterator[Stream]:
        """Open a stream of frames of a session.

        Raises:
            SessionNotFound: No such session.
        """
        await self._sessions.get(session_id)
        with self.streams.holding(session_id, Stream(self.runner.load_own, self.runner.drop)) as stream:
            yield stream

    async def parts_of(
        self, session_id: str, only: Sequence[str], unknown: Callable[[Sequence[str]], None], calls: SameThroughout
    ) -> Parts:
        """Return what parts of a batch have to do with one another in the session's pipeline.

        Args:
            session_id: The session.
            only: Outputs wanted, as of `infer`.
            unknown: As of `infer`.
            calls: The holder of the calls that compute the parts.

        Raises:
            SessionNotFound, PipelineMissing, Unavailable: As of `infer`.
        """
        self._calls.enter(session_id)
        try:
            target = self._target(await self._sessions.get(session_id))
            model = await calls.model(target.key, await self.runner.model(target))
            return model.pipeline.parts_of(known_of(model, only, unknown))
        finally:
            self._leave(session_id)

    async def forget(self, session_id: str) -> None:
        """Free what only this session used, device memory included."""
        if session_id in self._calls:
            self._closed.add(session_id)
        self.streams.close(session_id)
        if self._release(session_id):
            await self.runner.free_memory()

    def sessions_in_use(self) -> set[str]:
        """Return the ids of the sessions that have a model or recorded times here."""
        return self.profiler.sessions | self.streams.sessions | self.runner.sessions

    def close(self) -> None:
        """Free everything."""
        self.runner.close()

    def _target(self, session: Session) -> Target:
        observe = self.profiler.observer(session.id, session.profiling, _STAGE)
        key = (pipeline_of(session), session.weights_digest)
        return Target(key, session.id, observe=observe, synchronize=session.profiling.synchronize_device)

    def _leave(self, session_id: str) -> None:
        # What this call brought back after the session was closed goes again.
        if self._calls.leave(session_id) and session_id in self._closed:
            self._closed.discard(session_id)
            self._release(session_id)

    def _release(self, session_id: str) -> bool:
        self.profiler.forget(session_id)
        return self.runner.release(session_id)
