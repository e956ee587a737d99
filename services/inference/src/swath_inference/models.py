"""Models that are loaded, by what they are made of."""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from swath.documents import PipelineDocument, parse
from swath.storage.artifacts import ArtifactStore

if TYPE_CHECKING:
    from swath.engine.pipeline import Pipeline

Key = tuple[str, str | None]
"""Pipeline digest and weights digest."""


@dataclass
class Model:
    """A pipeline on its device, in eval mode.

    Attributes:
        pipeline: The pipeline.
        size: Bytes of its parameters and buffers.
        sessions: Sessions that have used it and are open.
    """

    pipeline: Pipeline
    size: int
    sessions: set[str] = field(default_factory=set)


class ModelCache:
    """Loaded models, least recently used first out.

    A key is a pair of digests, so an entry never goes stale. Calls that want a model which is being loaded wait for
    that one load.

    Args:
        artifacts: Where documents and weights are.
        device: Torch device that models are moved to.
        limit: Bytes of models to keep; the one in use stays whatever its size.
    """

    def __init__(self, artifacts: ArtifactStore, device: str, limit: int) -> None:
        self._artifacts = artifacts
        self._device = device
        self._limit = limit
        self._models: OrderedDict[Key, Model] = OrderedDict()
        self._loading: dict[Key, asyncio.Task[Model]] = {}

    async def get(self, key: Key, session_id: str) -> Pipeline:
        """Return the pipeline of a key, loaded if need be, and note that the session uses it.

        Raises:
            ArtifactMissing: A digest is not in the store.
            WeightsInvalid: The weights do not fit the pipeline.
        """
        model = self._models.get(key)
        if model is None:
            task = self._loading.get(key)
            if task is None:
                task = asyncio.create_task(self._load(key))
                self._loading[key] = task
                task.add_done_callback(lambda _: self._loading.pop(key, None))
            # One waiting call that is cancelled must not take the load away from the others.
            model = await asyncio.shield(task)
        if key in self._models:
            self._models.move_to_end(key)
        model.sessions.add(session_id)
        return model.pipeline

    async def _load(self, key: Key) -> Model:
        pipeline_digest, weights_digest = key
        document = await self._artifacts.get(pipeline_digest)
        weights = await self._artifacts.get(weights_digest) if weights_digest else None
        model = await asyncio.to_thread(_build, document, weights, self._device)
        self._models[key] = model
        self._shrink(keep=key)
        return model

    def _shrink(self, keep: Key) -> None:
        total = sum(model.size for model in self._models.values())
        for key in [key for key in self._models if key != keep]:
            if total <= self._limit:
                return
            total -= self._models.pop(key).size

    def release(self, session_id: str) -> bool:
        """Let go of what only this session used; return whether anything went."""
        gone = []
        for key, model in self._models.items():
            if session_id in model.sessions:
                model.sessions.discard(session_id)
                if not model.sessions:
                    gone.append(key)
        for key in gone:
            del self._models[key]
        return bool(gone)

    def clear(self) -> None:
        """Let go of everything."""
        self._models.clear()


def _build(document: bytes, weights: bytes | None, device: str) -> Model:
    from swath.engine import weights as files
    from swath.engine.pipeline import Pipeline

    parsed: PipelineDocument = parse("pipeline", json.loads(document))
    pipeline = Pipeline.from_document(parsed)
    if weights is not None:
        state, _ = files.load(weights)
        pipeline.load_state(state, strict=True)
    pipeline.to(device)
    pipeline.eval()
    size = sum(tensor.nbytes for node in pipeline.state().values() for tensor in node.values())
    return Model(pipeline, size)
