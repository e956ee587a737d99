"""Runs the pipelines of sessions over batches."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from swath.errors import InvalidInput, Unavailable
from swath.sessions.model import Profiling, Session, Sessions
from swath.sessions.preconditions import pipeline_of
from swath.storage import ArtifactStore, Workspace
from swath_inference.dataplane.executor import DeviceThread, first_forward, free_memory, memory_of
from swath_inference.dataplane.limits import Counts, Limits
from swath_inference.dataplane.models import Key, Model, ModelCache
from swath_inference.dataplane.outputs import NodeOutputs
from swath_inference.dataplane.request import Batch, InferRequest
from swath_inference.dataplane.streaming.memory import CubeMemory
from swath_inference.dataplane.streaming.streams import Holder, OpenStreams, SameThroughout, Stream, Unary
from swath_inference.dataplane.transcoding import Transcoder, size_of
from swath_inference.profiling.profiler import NodeTimes, NoReplicas, Profiler, Replicas, summary
from swath_inference.settings import InferenceSettings

if TYPE_CHECKING:
    from swath.engine.graph.parts import Parts
    from swath.engine.graph.pipeline import Pipeline
    from swath_inference.dataplane.devices import Device

_STAGE = "inference"


class _Call(NamedTuple):
    read: Callable[[], Batch]
    only: Sequence[str] | None
    size: int | None
    deadline: float | None
    priority: int
    holder: Holder


class InferenceService:
    """Inference and profiling of sessions.

    Args:
        settings: Device and limits.
        sessions: The sessions' authority.
        artifacts: Where pipelines and weights are.
        workspace: Where nodes that write files may write.
        profiler: Where forward times are recorded.
        replicas: The other replicas; none if not given.

    Attributes:
        settings: As given.
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
        replicas: Replicas | None = None,
    ) -> None:
        self.settings = settings
        self._replicas = replicas or NoReplicas()
        self._workspace = workspace
        self._sessions = sessions
        self._artifacts = artifacts
        self._threads = [DeviceThread(settings.queue_limit) for _ in settings.device.split(",")]
        self._devices: list[Device] = []
        self._transcoder = Transcoder()
        self.profiler = profiler or Profiler()
        self._cache: ModelCache | None = None
        self._warm = asyncio.Event()
        self._calls: Counter[str] = Counter()
        self._closed: set[str] = set()
        self._outputs = NodeOutputs(workspace)
        self.streams = OpenStreams()
        self.cubes = CubeMemory(settings.cube_bytes)

    async def warm_up(self) -> None:
        """Import torch, initialise the devices and run first forwards; calls wait until this is done or has failed."""
        try:
            wanted = self.settings.device.split(",")
            names = [
                await thread.run(partial(first_forward, name.strip()))
                for thread, name in zip(self._threads, wanted, strict=True)
            ]
            from swath_inference.dataplane.devices import with_queues

            settings = self.settings
            limits = Limits(
                queue=settings.queue_limit,
                calls=settings.batch_calls,
                preferred=settings.batch_preferred,
                size=settings.batch_bytes,
                delay=settings.batch_delay_ms / 1e3,
            )
            self._devices = with_queues(self._threads, names, limits)
            self._cache = ModelCache(
                self._artifacts, ",".join(names), settings.cache_bytes, self._dropped, compiled=settings.compile
            )
        finally:
            self._warm.set()

    async def infer(
        self,
        session_id: str,
        read: Callable[[], Batch],
        only: Sequence[str],
        write: Callable[[dict[str, Any]], Any],
        unknown: Callable[[Sequence[str]], None] = lambda there: None,
        *,
        holder: Holder | None = None,
        size: int | None = None,
        deadline: float | None = None,
        priority: int = 0,
    ) -> Any:
        """Run the session's pipeline over one batch.

        Args:
            session_id: The session.
            read: Makes the batch; called off the device's thread, and not at all for a call that has left before.
            only: Outputs wanted, as `node.port` or as port name; empty means all.
            write: Makes the answer of outputs by `node.port`; called off the device's thread.
            unknown: Called with all outputs that there are, if one is wanted that there is none of.
            holder: Chooses the model: that of the session, for a call of its own, if not given.
            size: Bytes that `read` has to do with; small ones are read on the event loop. None where it is not known.
            deadline: Second of `time.monotonic` after which nobody waits for the answer; None means never.
            priority: Calls with a higher one go first.

        Returns:
            What `write` returned.

        Raises:
            SessionNotFound: No such session.
            PipelineMissing: It has no pipeline.
            NotFitted: A node has no statistics or weights yet.
            InputInvalid: The batch does not fit the pipeline.
            OutOfMemory: The device has not enough memory.
            Exhausted: Too many calls wait.
            TimedOut: The deadline passed before the call was computed.
            Unavailable: The device could not be brought up.
        """
        holder = holder or Unary()
        with self._using(session_id):
            session, key, shared = await self._model(session_id)
            model = await holder.model(key, shared)
            with model.used():
                known = _known(model, only, unknown)
                call = _Call(read, known, size, deadline, priority, holder)
                outputs = await self._computed(session, model, call)
                return await self._transcoder.write(partial(write, outputs), size_of(outputs))

    @asynccontextmanager
    async def stream(self, session_id: str) -> AsyncIterator[Stream]:
        """Open a stream of frames of a session.

        Raises:
            SessionNotFound: No such session.
        """
        await self._sessions.get(session_id)
        with self.streams.holding(session_id, Stream(self._load_own, self._dropped)) as stream:
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
        with self._using(session_id):
            _, key, shared = await self._model(session_id)
            model = await calls.model(key, shared)
            return model.pipeline.parts_of(_known(model, only, unknown))

    @contextmanager
    def _using(self, session_id: str) -> Iterator[None]:
        self._calls[session_id] += 1
        try:
            yield
        finally:
            self._calls[session_id] -= 1
            if not self._calls[session_id]:
                del self._calls[session_id]
                # What this call brought back after the session was closed goes again.
                if session_id in self._closed:
                    self._closed.discard(session_id)
                    self._release(session_id)

    async def _computed(self, session: Session, model: Model, call: _Call) -> dict[str, Any]:
        files = self._outputs.of(model.pipeline)
        queue = self._devices[model.place].queue
        with queue.admitted(), self._workspace.showing():
            request = InferRequest(
                model,
                await self._transcoder.read(call.read, call.size),
                files,
                only=None if call.only is None else tuple(call.only),
                deadline=call.deadline,
                priority=call.priority,
                observe=self.profiler.observer(session.id, session.profiling, _STAGE),
                synchronize=session.profiling.synchronize_device,
                alone=call.holder.alone,
                fresh=call.holder.fresh,
            )
            outputs = await queue.run(request)
            await self._outputs.publish(files)
        return outputs

    async def _model(self, session_id: str) -> tuple[Session, Key, Model]:
        session = await self._sessions.get(session_id)
        key = (pipeline_of(session), session.weights_digest)
        await self._warm.wait()
        if self._cache is None:
            raise Unavailable("the device of this server could not be brought up; the server's log has the cause")
        return session, key, await self._cache.get(key, session_id)

    async def _load_own(self, key: Key) -> Model:
        assert self._cache is not None
        return await self._cache.load(key)

    async def set_profiling(
        self, session_id: str, *, enabled: bool, synchronize: bool | None, reset: bool | None, skip_first: int | None
    ) -> bool:
        """Replace the session's profiling switches; what is None goes back to its default.

        Raises:
            SessionNotFound: No such session.
            PipelineMissing: It has no pipeline.
            InvalidInput: A negative skip.
        """
        if skip_first is not None and skip_first < 0:
            raise InvalidInput(f"skip_first_n must not be negative, got {skip_first}")

        def decide(session: Session) -> dict[str, Any]:
            pipeline_of(session)
            generation = session.profiling.generation + (1 if reset else 0)
            return {
                "profiling": Profiling(
                    enabled=enabled,
                    synchronize_device=bool(synchronize),
                    skip_first=skip_first or 0,
                    generation=generation,
                )
            }

        return (await self._sessions.change(session_id, decide)).profiling.enabled

    async def profiling_summary(self, session_id: str, stage: str | None) -> list[NodeTimes]:
        """Return the recorded times of the session's nodes, of one stage or all.

        Raises:
            SessionNotFound: No such session.
            PipelineMissing: It has no pipeline.
        """
        session = await self._sessions.get(session_id)
        pipeline_of(session)
        generation = session.profiling.generation
        others = await self._replicas.read(session_id, generation)
        return summary([self.profiler.read(session_id, generation), *others], stage)

    async def forget(self, session_id: str) -> None:
        """Free what only this session used, device memory included."""
        if session_id in self._calls:
            self._closed.add(session_id)
        self.streams.close(session_id)
        if self._release(session_id):
            for device in self._devices:
                await device.thread.surely(partial(free_memory, device.name))

    @property
    def waiting(self) -> int:
        """Calls that wait for a device."""
        return sum(device.queue.waiting for device in self._devices)

    def batching(self) -> Counts:
        """Return what the queues have done so far."""
        return Counts.total(device.queue.counts for device in self._devices)

    @property
    def models(self) -> int:
        """Models that are loaded."""
        return len(self._cache.keys) if self._cache is not None else 0

    @property
    def model_bytes(self) -> int:
        """Bytes of the models that are loaded."""
        return self._cache.size if self._cache is not None else 0

    @property
    def model_loads(self) -> int:
        """Models that were loaded so far."""
        return self._cache.loads if self._cache is not None else 0

    def device_memory(self) -> dict[str, float]:
        """Return bytes of the devices' memory by use; nothing where they are CPUs."""
        total: Counter[str] = Counter()
        for name in {device.name for device in self._devices}:
            total.update(memory_of(name))
        return dict(total)

    def sessions_in_use(self) -> set[str]:
        """Return the ids of the sessions that have a model or recorded times here."""
        loaded = self._cache.sessions if self._cache is not None else set()
        return self.profiler.sessions | self.streams.sessions | loaded

    def close(self) -> None:
        """Free everything."""
        for thread in self._threads:
            thread.close()
        self._transcoder.close()
        self._outputs.stop()
        for pipeline in self._cache.clear() if self._cache is not None else ():
            self._release_pipeline(pipeline)
        self._outputs.close()

    def _release(self, session_id: str) -> bool:
        self.profiler.forget(session_id)
        return self._cache is not None and self._cache.release(session_id)

    def _dropped(self, model: Model) -> None:
        # On the thread of its device: a forward that was given up comes first, and files may have to be written.
        self._threads[model.place].later(partial(self._release_pipeline, model.pipeline))

    def _release_pipeline(self, pipeline: Pipeline) -> None:
        pipeline.close()
        self._outputs.release(pipeline)


def _known(model: Model, only: Collection[str], unknown: Callable[[Sequence[str]], None]) -> list[str] | None:
    """Return the wanted outputs that there are; None for all."""
    if not model.names.issuperset(only):
        unknown(model.outputs)
    # The pipeline keeps a plan for each set of names; those that it does not know would only fill its memory.
    return sorted(model.names.intersection(only)) if only else None
