"""Models that are loaded, by what they are made of."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from swath.rpc.tracing import span
from swath.storage.artifacts.store import ArtifactStore

if TYPE_CHECKING:
    from swath.engine.graph.pipeline import Pipeline

Key = tuple[str, str | None]
"""Pipeline digest and weights digest."""

OVERHEAD = 128 * 1024
"""Bytes that a model counts for beyond its tensors: otherwise those without any would never be evicted."""


@dataclass(frozen=True, eq=False)
class Model:
    """A pipeline on its device, in eval mode.

    Attributes:
        pipeline: The pipeline.
        outputs: Its outputs at inference, `node.port`, in the order of its nodes.
        names: What its outputs may be asked for by: `node.port` and bare port names.
        size: Bytes of its parameters and buffers, and `OVERHEAD`.
    """

    pipeline: Pipeline
    outputs: tuple[str, ...]
    names: frozenset[str]
    size: int


class ModelCache:
    """Loaded models, least recently used first out.

    A key is a pair of digests, so an entry never goes stale. Calls that want a model which is being loaded wait for
    that one load. A session uses the model that it asked for last; a model that no session uses is dropped at once.

    Args:
        artifacts: Where documents and weights are.
        device: Torch device that models are moved to.
        limit: Bytes of models to keep; the one in use stays whatever its size.
        dropped: Called with each pipeline that leaves the cache. Forwards of it may still be under way.

    Attributes:
        loads: Models that were loaded so far.
    """

    def __init__(
        self, artifacts: ArtifactStore, device: str, limit: int, dropped: Callable[[Pipeline], None] = lambda _: None
    ) -> None:
        self._artifacts = artifacts
        self._device = device
        self._limit = limit
        self._dropped = dropped
        self._models: OrderedDict[Key, Model] = OrderedDict()
        self._loading: dict[Key, asyncio.Task[Model]] = {}
        # Which session uses which model, both ways.
        self._keys: dict[str, Key] = {}
        self._sessions: dict[Key, set[str]] = {}
        self.loads = 0

    @property
    def keys(self) -> tuple[Key, ...]:
        """Keys of the loaded models, least recently used first."""
        return tuple(self._models)

    @property
    def size(self) -> int:
        """Bytes of the loaded models."""
        return sum(model.size for model in list(self._models.values()))

    @property
    def sessions(self) -> set[str]:
        """Ids of the sessions that use a model."""
        return set(self._keys)

    async def get(self, key: Key, session_id: str) -> Model:
        """Return the model of a key, loaded if need be; the session uses that one from now on.

        Raises:
            ArtifactMissing: A digest is not in the store.
            WeightsInvalid: The weights do not fit the pipeline.
        """
        if self._keys.get(session_id) != key:
            self.release(session_id)
            self._keys[session_id] = key
            self._sessions.setdefault(key, set()).add(session_id)
        if key in self._models:
            self._models.move_to_end(key)
            return self._models[key]
        task = self._loading.get(key)
        if task is None:
            task = self._loading[key] = asyncio.create_task(self._load(key))
            task.add_done_callback(lambda done: self._loaded(key, done))
        # One waiting call that is cancelled must not take the load away from the others.
        return await asyncio.shield(task)

    def release(self, session_id: str) -> bool:
        """End a session's use of its model; return whether that dropped the model."""
        key = self._keys.pop(session_id, None)
        if key is None:
            return False
        users = self._sessions[key]
        users.discard(session_id)
        if users:
            return False
        del self._sessions[key]
        return self._drop(key)

    def clear(self) -> list[Pipeline]:
        """Drop everything without calling `dropped`; return the pipelines."""
        pipelines = [model.pipeline for model in self._models.values()]
        self._models.clear()
        self._keys.clear()
        self._sessions.clear()
        return pipelines

    async def load(self, key: Key) -> Model:
        """Return a model of a key that is not kept here: for who needs an instance of its own.

        Raises:
            ArtifactMissing, WeightsInvalid: As of `get`.
        """
        pipeline_digest, weights_digest = key
        with span("load model"):
            document = await self._artifacts.get(pipeline_digest)
            weights = await self._artifacts.get(weights_digest) if weights_digest else None
            model = await asyncio.to_thread(_build, document, weights, self._device)
        self.loads += 1
        return model

    async def _load(self, key: Key) -> Model:
        model = await self.load(key)
        # The session that wanted it may have been closed meanwhile.
        if key in self._sessions:
            self._models[key] = model
            self._shrink(keep=key)
        return model

    def _loaded(self, key: Key, task: asyncio.Task[Model]) -> None:
        del self._loading[key]
        if not task.cancelled():
            task.exception()  # Marked as seen: the calls that waited may be gone.

    def _shrink(self, keep: Key) -> None:
        total = self.size
        for key in [key for key in self._models if key != keep]:
            if total <= self._limit:
                return
            total -= self._models[key].size
            self._drop(key)

    def _drop(self, key: Key) -> bool:
        model = self._models.pop(key, None)
        if model is not None:
            self._dropped(model.pipeline)
        return model is not None


def _build(document: bytes, weights: bytes | None, device: str) -> Model:
    from swath.engine.graph.ports import Stage
    from swath.engine.stored import open_pipeline
    from swath_inference.dataplane.executor import memory_errors

    with memory_errors():
        pipeline = open_pipeline(document, weights)
        pipeline.to(device)
    ports = [
        (name, port)
        for name in pipeline.order
        if Stage.INFERENCE in pipeline.nodes[name].stages
        for port in pipeline.nodes[name].outputs
    ]
    outputs = tuple(f"{name}.{port}" for name, port in ports)
    size = sum(tensor.nbytes for node in pipeline.state().values() for tensor in node.values())
    return Model(pipeline.eval(), outputs, frozenset((*outputs, *(port for _, port in ports))), size + OVERHEAD)
