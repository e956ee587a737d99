"""Runs models over batches: the devices, the models that are loaded, and the queues before them.

It knows neither protocols nor sessions: front doors give it a `Target`, what makes a batch and what makes an answer.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from swath.errors import SwathError, Unavailable
from swath.storage import ArtifactStore, Workspace
from swath_inference.dataplane.executor import DeviceThread, first_forward, free_memory, memory_of
from swath_inference.dataplane.limits import Counts, Limits
from swath_inference.dataplane.models import Key, Model, ModelCache
from swath_inference.dataplane.outputs import NodeOutputs
from swath_inference.dataplane.request import Batch, InferRequest, size_of
from swath_inference.dataplane.transcoding import INLINE_BYTES, Transcoder
from swath_inference.settings import InferenceSettings

if TYPE_CHECKING:
    from swath.engine.graph.pipeline import Pipeline
    from swath_inference.dataplane.devices import Device
    from swath_inference.dataplane.streaming.streams import Holder


@dataclass(frozen=True, slots=True)
class Target:
    """The model that a call is for.

    Attributes:
        key: What it is made of.
        holder: Who wants it: a session's id, or `model/NAME/VERSION`.
        session: Whether that is a session's.
        observe: Called with each node's name and seconds, where the call is profiled.
        synchronize: Whether the device is waited for around each node then.
        started: Called with the seconds for which a call has waited for the device and the calls that are computed with
            it, itself among them, when its turn has come.
    """

    key: Key
    holder: str
    session: bool = True
    observe: Callable[[str, float], None] | None = None
    synchronize: bool = False
    started: Callable[[float, int], None] | None = None


def let_pass(there: Sequence[str]) -> None:
    """Pass over outputs that are wanted and are not there."""


class Runner:
    """The data plane of a replica.

    Args:
        settings: Devices and limits.
        artifacts: Where pipelines and weights are.
        workspace: Where nodes that write files may write.

    Attributes:
        threads: One for each device.
    """

    def __init__(self, settings: InferenceSettings, artifacts: ArtifactStore, workspace: Workspace) -> None:
        self._settings = settings
        self._artifacts = artifacts
        self._workspace = workspace
        self.threads = [DeviceThread(settings.queue_limit) for _ in settings.device.split(",")]
        self._devices: list[Device] = []
        self._transcoder = Transcoder()
        self._cache: ModelCache | None = None
        self._warm = asyncio.Event()
        self._outputs = NodeOutputs(workspace)

    async def warm_up(self) -> None:
        """Import torch, initialise the devices and run first forwards; calls wait until this is done or has failed."""
        settings = self._settings
        try:
            wanted = settings.device.split(",")
            names = [
                await thread.run(partial(first_forward, name.strip()))
                for thread, name in zip(self.threads, wanted, strict=True)
            ]
            from swath_inference.dataplane.devices import with_queues

            limits = Limits(
                queue=settings.queue_limit,
                calls=settings.batch_calls,
                preferred=settings.batch_preferred,
                size=settings.batch_bytes,
                delay=settings.batch_delay_ms / 1e3,
            )
            self._devices = with_queues(self.threads, names, limits)
            self._cache = ModelCache(
                self._artifacts, ",".join(names), settings.cache_bytes, self.drop, compiled=settings.compile
            )
        finally:
            self._warm.set()

    async def infer(
        self,
        target: Target,
        read: Callable[[], Batch],
        only: Sequence[str],
        write: Callable[[dict[str, Any]], Any],
        unknown: Callable[[Sequence[str]], None] = let_pass,
        *,
        holder: Holder | None = None,
        size: int | None = None,
        deadline: float | None = None,
        priority: int = 0,
    ) -> Any:
        """Run a model over one batch.

        Args:
            target: The model.
            read: Makes the batch; called off the device's thread, and not at all for a call that has left before.
            only: Outputs wanted, as `node.port` or as port name; empty means all.
            write: Makes the answer of outputs by `node.port`; called off the device's thread.
            unknown: Called with all outputs that there are, if one is wanted that there is none of.
            holder: Chooses the instance of the model; the one that all share, for a call of its own, if not given.
            size: Bytes that `read` has to do with; small ones are read on the event loop. None where it is not known.
            deadline: Second of `time.monotonic` after which nobody waits for the answer; None means never.
            priority: Calls with a higher one go first.

        Returns:
            What `write` returned.

        Raises:
            NotFitted: A node has no statistics or weights yet.
            InputInvalid: The batch does not fit the pipeline.
            OutOfMemory: The device has not enough memory.
            Exhausted: Too many calls wait.
            TimedOut: The deadline passed before the call was computed.
            Unavailable: The device could not be brought up.
        """
        # Flat, and without context managers: this is around every call, and most take less time than a few of those.
        model = self._cache.find(target.key, target.holder) if self._cache is not None else None
        if model is None:
            model = await self.model(target)
        if holder is not None:
            model = await holder.model(target.key, model)
        model.enter()
        try:
            wanted = known_of(model, only, unknown) if only else None
            queue = self._devices[model.place].queue
            queue.enter()
            try:
                batch = read() if size is not None and size <= INLINE_BYTES else await self._transcoder.read(read)
                files = self._outputs.of(model.pipeline)
                request = InferRequest(
                    model,
                    batch,
                    files,
                    wanted,
                    deadline,
                    priority,
                    target.observe,
                    target.synchronize,
                    holder is not None and holder.alone,
                    holder is None or holder.fresh,
                    started=target.started,
                )
                del batch
                outputs = await queue.run(request)
                if files.pending:
                    await self._outputs.publish(files)
            except SwathError as error:
                self._workspace.show(error)
                raise
            finally:
                queue.leave()
            if size_of(outputs) <= INLINE_BYTES:
                return write(outputs)
            return await self._transcoder.write(partial(write, outputs))
        finally:
            model.leave()

    async def model(self, target: Target, *, pinned: bool = False) -> Model:
        """Return the model that all calls of a target share, loaded if need be.

        Args:
            target: The model.
            pinned: Whether it stays loaded until its holder releases it.

        Raises:
            ArtifactMissing: A digest is not in the store.
            WeightsInvalid: The weights do not fit the pipeline.
            Unavailable: The device could not be brought up.
        """
        await self._warm.wait()
        if self._cache is None:
            raise Unavailable("the device of this server could not be brought up; the server's log has the cause")
        return await self._cache.get(target.key, target.holder, session=target.session, pinned=pinned)

    async def load_own(self, key: Key) -> Model:
        """Return an instance of a model that nobody else gets; to be given to `drop` when it is of no more use.

        Raises:
            ArtifactMissing, WeightsInvalid: As of `model`.
            Exhausted: There is no room for it beside the models of other streams.
        """
        assert self._cache is not None
        return await self._cache.own(key)

    def drop(self, model: Model) -> None:
        """Free a model that no call uses any more."""
        if self._cache is not None:
            self._cache.disown(model)
        # On the thread of its device: a forward that was given up comes first, and files may have to be written.
        self.threads[model.place].later(partial(self._release_pipeline, model.pipeline))

    def loaded(self, key: Key) -> bool:
        """Whether the model of a key is loaded; to ask is no use of it."""
        return self._cache is not None and self._cache.has(key)

    def unpin(self, holder: str) -> None:
        """Keep the model that a holder has pinned no longer than there is room."""
        if self._cache is not None:
            self._cache.unpin(holder)

    async def evict(self) -> bool:
        """Make room: drop what nobody has pinned; return whether there was something."""
        if self._cache is None or not self._cache.evict():
            return False
        await self.free_memory()
        return True

    def release(self, holder: str) -> bool:
        """End a holder's use of its model; return whether that dropped the model."""
        return self._cache is not None and self._cache.release(holder)

    async def free_memory(self) -> None:
        """Give memory that no tensor takes any more back to the devices."""
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
    def keys(self) -> tuple[Key, ...]:
        """Keys of the loaded models, least recently used first."""
        return self._cache.keys if self._cache is not None else ()

    @property
    def models(self) -> int:
        """Models that are loaded, those of streams among them."""
        return len(self._cache) if self._cache is not None else 0

    @property
    def model_bytes(self) -> int:
        """Bytes of the models that are loaded, those of streams among them."""
        return self._cache.size if self._cache is not None else 0

    @property
    def model_loads(self) -> int:
        """Models that were loaded so far."""
        return self._cache.loads if self._cache is not None else 0

    @property
    def sessions(self) -> set[str]:
        """Ids of the sessions that hold a model."""
        return self._cache.sessions if self._cache is not None else set()

    def device_memory(self) -> dict[str, float]:
        """Return bytes of the devices' memory by use; nothing where they are CPUs."""
        total: Counter[str] = Counter()
        for name in {device.name for device in self._devices}:
            total.update(memory_of(name))
        return dict(total)

    def close(self) -> None:
        """Free everything."""
        for thread in self.threads:
            thread.close()
        self._transcoder.close()
        self._outputs.stop()
        for pipeline in self._cache.clear() if self._cache is not None else ():
            self._release_pipeline(pipeline)
        self._outputs.close()

    def _release_pipeline(self, pipeline: Pipeline) -> None:
        pipeline.close()
        self._outputs.release(pipeline)


def known_of(
    model: Model, only: Collection[str], unknown: Callable[[Sequence[str]], None] = let_pass
) -> tuple[str, ...] | None:
    """Return the wanted outputs that a model has, in order; None for all.

    Args:
        model: The model.
        only: Outputs wanted, as `node.port` or as port name; empty means all.
        unknown: Called with all outputs that there are, if one is wanted that there is none of.
    """
    if not model.names.issuperset(only):
        unknown(model.outputs)
    # The pipeline keeps a plan for each set of names; those that it does not know would only fill its memory.
    return tuple(sorted(model.names.intersection(only))) if only else None
