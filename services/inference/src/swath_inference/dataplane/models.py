"""Models that are loaded, by what they are made of."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from swath.errors import Exhausted
from swath.rpc.tracing import span
from swath.storage.artifacts.store import ArtifactStore
from swath_inference.dataplane.executor import memory_of
from swath_inference.dataplane.request import Apart, Pace

if TYPE_CHECKING:
    from swath.engine.graph.pipeline import Pipeline

Key = tuple[str, str | None]
"""Pipeline digest and weights digest."""

OVERHEAD = 128 * 1024
"""Bytes that a model counts for beyond its tensors: otherwise those without any would never be evicted."""


@dataclass(eq=False)
class Model:
    """A pipeline on its device, in eval mode.

    Attributes:
        pipeline: The pipeline.
        outputs: Its outputs at inference, `node.port`, in the order of its nodes.
        names: What its outputs may be asked for by: `node.port` and bare port names.
        size: Bytes of its parameters and buffers, and `OVERHEAD`.
        device: Name of its device.
        place: Which of the devices of the replica that is, from 0.
        merges: Whether batches of different calls are computed together; it ends when an output could not be parted.
        inline: Whether a forward may run on the event loop, if it is quick.
        pace: How long its last forwards took.
        apart: Calls that are computed alone, since together they failed.
    """

    pipeline: Pipeline
    outputs: tuple[str, ...]
    names: frozenset[str]
    size: int
    device: str = "cpu"
    place: int = 0
    merges: bool = False
    inline: bool = False
    pace: Pace = field(default_factory=Pace)
    apart: Apart = field(default_factory=Apart)
    _calls: int = 0
    _last: Callable[[Model], None] | None = None

    def enter(self) -> None:
        """Keep the pipeline open during a call, which then has to `leave`, even if the cache drops it meanwhile."""
        self._calls += 1

    def leave(self) -> None:
        """Count a call no longer."""
        self._calls -= 1
        if self._last is not None:
            self._end()

    def drop(self, dropped: Callable[[Model], None]) -> None:
        """Have `dropped` called with the model as soon as no call waits for it."""
        self._last = dropped
        self._end()

    def _end(self) -> None:
        if self._last is not None and not self._calls:
            dropped, self._last = self._last, None
            dropped(self)


class ModelCache:
    """Loaded models, least recently used first out.

    A key is a pair of digests, so an entry never goes stale. Calls that want a model which is being loaded wait for
    that one load. A holder, such as a session, uses the model that it asked for last; a model that nobody holds is
    dropped at once. Of several devices, a model goes to the one with the most free memory.

    Args:
        artifacts: Where documents and weights are.
        device: Torch devices that models are moved to, separated by commas.
        limit: Bytes of models to keep on each device, those of streams among them; the one in use, and those that are
            pinned, stay whatever their size.
        dropped: Called with each model that has left the cache, once no call waits for it any more. The forward of one
            that was given up may still be under way on the thread of the model's device.
        compiled: Whether the nodes of models are compiled.

    Attributes:
        loads: Models that were loaded so far.
    """

    def __init__(
        self,
        artifacts: ArtifactStore,
        device: str,
        limit: int,
        dropped: Callable[[Model], None] = lambda _: None,
        *,
        compiled: bool = False,
    ) -> None:
        self._artifacts = artifacts
        self._devices = device.split(",")
        self._compiled = compiled
        self._loads = [0] * len(self._devices)
        self._limit = limit
        self._dropped = dropped
        self._models: OrderedDict[Key, Model] = OrderedDict()
        self._loading: dict[Key, asyncio.Task[Model]] = {}
        # Who holds which model, both ways.
        self._keys: dict[str, Key] = {}
        self._holders: dict[Key, set[str]] = {}
        self._pinned: set[str] = set()
        self._others: set[str] = set()
        # Instances that one stream has each, and bytes of those that are about to be, by device.
        self._own: set[Model] = set()
        self._expected = [0] * len(self._devices)
        self.loads = 0

    @property
    def keys(self) -> tuple[Key, ...]:
        """Keys of the loaded models, least recently used first."""
        return tuple(self._models)

    def __len__(self) -> int:
        return len(self._models) + len(self._own)

    @property
    def size(self) -> int:
        """Bytes of the loaded models, those of streams among them."""
        return sum(model.size for model in [*self._models.values(), *self._own])

    @property
    def sessions(self) -> set[str]:
        """Ids of the sessions that use a model."""
        return self._keys.keys() - self._others

    def find(self, key: Key, holder: str) -> Model | None:
        """Return the model of a key if it is loaded and the holder's already; None where `get` has to be asked."""
        model = self._models.get(key)
        if model is None or self._keys.get(holder) != key:
            return None
        self._models.move_to_end(key)
        return model

    async def get(self, key: Key, holder: str, *, session: bool = True, pinned: bool = False) -> Model:
        """Return the model of a key, loaded if need be; the holder uses that one from now on.

        Args:
            key: What it is made of.
            holder: Id of who wants it.
            session: Whether that is a session's.
            pinned: Whether the model stays loaded, however little it is used, until the holder releases it.

        Raises:
            ArtifactMissing: A digest is not in the store.
            WeightsInvalid: The weights do not fit the pipeline.
        """
        if self._keys.get(holder) != key:
            self.release(holder)
            self._keys[holder] = key
            self._holders.setdefault(key, set()).add(holder)
            if not session:
                self._others.add(holder)
        if pinned:
            self._pinned.add(holder)
        if key in self._models:
            self._models.move_to_end(key)
            return self._models[key]
        task = self._loading.get(key)
        if task is None:
            task = self._loading[key] = asyncio.create_task(self._load(key))
            task.add_done_callback(lambda done: self._loaded(key, done))
        # One waiting call that is cancelled must not take the load away from the others.
        return await asyncio.shield(task)

    def has(self, key: Key) -> bool:
        """Whether the model of a key is loaded; to ask is no use of it."""
        return key in self._models

    def unpin(self, holder: str) -> None:
        """Let the model that a holder has pinned go as any other one does."""
        self._pinned.discard(holder)

    def evict(self) -> bool:
        """Drop what nobody has pinned; return whether there was something. Calls that run keep theirs to their end."""
        others = [key for key in self._models if not self._holders.get(key, set()) & self._pinned]
        for key in others:
            self._drop(key)
        return bool(others)

    def release(self, holder: str) -> bool:
        """End a holder's use of its model; return whether that dropped the model."""
        key = self._keys.pop(holder, None)
        self._pinned.discard(holder)
        self._others.discard(holder)
        if key is None:
            return False
        holders = self._holders[key]
        holders.discard(holder)
        if holders:
            return False
        del self._holders[key]
        return self._drop(key)

    def clear(self) -> list[Pipeline]:
        """Drop everything without calling `dropped`; return the pipelines."""
        pipelines = [model.pipeline for model in self._models.values()]
        for each in (self._models, self._keys, self._holders, self._pinned, self._others):
            each.clear()
        return pipelines

    async def own(self, key: Key) -> Model:
        """Return an instance of a model that nobody else gets; to be given to `disown` when it is of no more use.

        Raises:
            ArtifactMissing, WeightsInvalid: As of `get`.
            Exhausted: There is no room beside the models of other streams and those that stay.
        """
        place = self._place()
        # As large as the one that all share, which whoever asks has just had.
        size = self._models[key].size if key in self._models else OVERHEAD
        self._make_room(place, key, size)
        model = await self._built(key, place, size)
        self._own.add(model)
        return model

    def disown(self, model: Model) -> None:
        """Count an instance no longer."""
        self._own.discard(model)

    async def _built(self, key: Key, place: int, size: int = 0) -> Model:
        from swath_inference.dataplane.devices import build_model

        pipeline_digest, weights_digest = key
        self._loads[place] += 1
        self._expected[place] += size
        try:
            with span("load model"):
                document = await self._artifacts.get(pipeline_digest)
                weights = await self._artifacts.get(weights_digest) if weights_digest else None
                device = self._devices[place]
                model = await asyncio.to_thread(build_model, document, weights, device, place, compiled=self._compiled)
        finally:
            self._loads[place] -= 1
            self._expected[place] -= size
        self.loads += 1
        return model

    async def _load(self, key: Key) -> Model:
        model = await self._built(key, self._place())
        # Whoever wanted it may have gone meanwhile.
        if key in self._holders:
            self._models[key] = model
            self._shrink(model.place, key)
        else:
            model.drop(self._dropped)
        return model

    def _place(self) -> int:
        """Return the device with the most free memory; of equal ones, that with the fewest bytes of models."""
        taken = [0] * len(self._devices)
        for model in (*self._models.values(), *self._own):
            taken[model.place] += model.size

        def rank(place: int) -> tuple[float, int, int]:
            return -memory_of(self._devices[place]).get("free", 0.0), taken[place], self._loads[place]

        return min(range(len(self._devices)), key=rank)

    def _loaded(self, key: Key, task: asyncio.Task[Model]) -> None:
        del self._loading[key]
        if not task.cancelled():
            task.exception()  # Marked as seen: the calls that waited may be gone.

    def _make_room(self, place: int, key: Key, size: int) -> None:
        """Drop models until there is room for one more; where those that stay leave too little, refuse it."""
        here = [(each, model.size) for each, model in self._models.items() if model.place == place]
        taken = self._of_streams(place) + sum(bytes_ for each, bytes_ in here if self._stays(each, key))
        if taken + size > self._limit:
            raise Exhausted(
                f"this pipeline has a memory, so a stream needs its own instance, {size / 2**20:.1f} MiB; models "
                f"in use hold {taken / 2**20:.1f} of {self._limit / 2**20:.1f} MiB (SWATH_INFERENCE_CACHE_BYTES)",
                retry_after=1.0,
            )
        self._shrink(place, key, size)

    def _shrink(self, place: int, keep: Key, more: int = 0) -> None:
        here = {key: model for key, model in self._models.items() if model.place == place}
        total = more + sum(model.size for model in here.values()) + self._of_streams(place)
        for key, model in here.items():
            if total <= self._limit:
                return
            if not self._stays(key, keep):
                total -= model.size
                self._drop(key)

    def _stays(self, key: Key, keep: Key) -> bool:
        return key == keep or bool(self._holders.get(key, set()) & self._pinned)

    def _of_streams(self, place: int) -> int:
        return self._expected[place] + sum(model.size for model in self._own if model.place == place)

    def _drop(self, key: Key) -> bool:
        model = self._models.pop(key, None)
        if model is not None:
            model.drop(self._dropped)
        return model is not None
