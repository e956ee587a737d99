"""Models on several devices, models that stay, models in use, models that are compiled; decoding on threads."""

import asyncio
import threading
from contextvars import ContextVar
from typing import Any, cast

import pytest
import torch

from swath_inference import InferenceService, InferenceSettings
from swath_inference.dataplane import cache as caching
from swath_inference.dataplane.cache import ModelCache
from swath_inference.dataplane.forward import compile_nodes
from swath_inference.dataplane.models import OVERHEAD
from swath_inference.dataplane.request import size_of
from swath_inference.dataplane.transcoding import Transcoder


class TestDevices:
    async def test_models_go_to_the_device_with_the_fewest_bytes(self, artifacts, pipeline):
        cache = ModelCache(artifacts, "cpu,cpu", 2**30)
        places = [(await cache.get((pipeline(bands), None), str(bands))).place for bands in (50, 2, 3, 4)]
        # The first has 40 KB of tensors more than the others.
        assert places == [0, 1, 1, 0]

    async def test_a_gpu_with_more_free_memory_goes_first(self, artifacts, pipeline, monkeypatch):
        free = {"cpu": {}, "meta": {"free": 2.0**40}}
        monkeypatch.setattr(caching, "memory_of", lambda device: free[device])
        cache = ModelCache(artifacts, "cpu,meta", 2**30)
        model = await cache.get((pipeline(), None), "a")
        assert (model.place, model.device) == (1, "meta")
        assert model.pipeline.nodes["node"].mu.device.type == "meta"
        assert not model.inline

    async def test_each_device_has_room_of_its_own(self, artifacts, pipeline):
        cache = ModelCache(artifacts, "cpu,cpu", OVERHEAD + 200)
        keys = [(pipeline(bands), None) for bands in (2, 3, 1)]
        for key in keys:
            await cache.get(key, key[0])
        assert cache.keys == (keys[1], keys[2])

    async def test_calls_run_on_the_device_of_their_model(self, sessions, artifacts, workspace, pipeline):
        service = InferenceService(InferenceSettings(device="cpu,cpu"), sessions, artifacts, workspace)
        await service.warm_up()
        names = []
        for eps in (1e-6, 1e-5):
            session = await sessions.create()
            await sessions.update(session.id, session.revision, pipeline_digest=await _normalizer(artifacts, eps))
            data = {"data": torch.rand(1, 2, 2, 2)}
            outputs = await service.infer(session.id, lambda data=data: data, [], lambda outputs: outputs)
            assert outputs["node.normalized"].shape == (1, 2, 2, 2)
            names.append(session.id)
        assert [device.queue.counts.calls for device in service.runner._devices] == [1, 1]
        assert service.runner.batching().calls == 2
        service.close()


async def _normalizer(artifacts, eps):
    from swath.documents import canonical, parse

    node = {"name": "node", "class_name": "MinMaxNormalizer", "hparams": {"use_running_stats": False, "eps": eps}}
    return artifacts.put_sync(canonical(parse("pipeline", {"nodes": [node], "connections": []})))


class TestHolders:
    @pytest.fixture
    def dropped(self):
        return []

    @pytest.fixture
    def cache(self, artifacts, dropped):
        """Room for one small model."""
        return ModelCache(artifacts, "cpu", OVERHEAD, dropped.append)

    async def test_a_pinned_model_stays_however_little_it_is_used(self, cache, pipeline):
        pinned, others = (pipeline(2), None), [(pipeline(bands), None) for bands in (3, 4)]
        await cache.get(pinned, "published", session=False, pinned=True)
        for key in others:
            await cache.get(key, key[0])
        assert cache.keys == (pinned, others[1])
        assert cache.release("published")
        assert cache.keys == (others[1],)

    async def test_holders_that_are_no_sessions_hold_and_are_not_listed_as_such(self, cache, pipeline):
        key = (pipeline(), None)
        await cache.get(key, "stream", session=False)
        await cache.get(key, "a")
        assert cache.sessions == {"a"}
        assert not cache.release("a")
        assert cache.keys == (key,)

    async def test_a_model_in_use_is_let_go_of_after_the_last_call(self, cache, pipeline, dropped):
        model = await cache.get((pipeline(2), None), "a")
        model.enter()
        model.enter()
        await cache.get((pipeline(3), None), "b")
        assert len(cache.keys) == 1
        model.leave()
        assert dropped == []
        model.leave()
        assert dropped == [model]


def test_nodes_with_parameters_are_compiled(monkeypatch):
    from swath.documents import parse
    from swath.engine.graph.pipeline import Pipeline

    monkeypatch.setattr(torch, "compile", lambda work, dynamic: lambda *given: (work(*given), "compiled", dynamic))
    nodes = [
        {"name": "mlp", "class_name": "DeepSVDDProjection", "hparams": {"in_channels": 3}},
        {"name": "scale", "class_name": "MinMaxNormalizer", "hparams": {"use_running_stats": False}},
    ]
    pipeline = Pipeline.from_document(parse("pipeline", {"nodes": nodes, "connections": []}))
    compile_nodes(pipeline)
    outputs, *how = cast(Any, pipeline.nodes["mlp"]).run({"data": torch.rand(1, 1, 1, 3)}, None)
    assert outputs["embeddings"].shape == (1, 1, 1, 32)
    assert how == ["compiled", True]
    assert "run" not in vars(pipeline.nodes["scale"])


class TestTranscoding:
    @pytest.fixture
    def transcoder(self):
        made = Transcoder()
        yield made
        made.close()

    async def test_what_comes_here_leaves_the_loop(self, transcoder):
        for direction in (transcoder.read, transcoder.write):
            assert await direction(threading.get_ident) != threading.get_ident()

    async def test_a_thread_works_in_the_context_of_the_call(self, transcoder):
        call = ContextVar("call", default="none")
        call.set("mine")
        assert await transcoder.read(call.get) == "mine"

    async def test_what_a_call_that_left_would_have_read_is_not_read(self, transcoder):
        go_on, read = threading.Event(), []
        busy = asyncio.create_task(transcoder.read(lambda: go_on.wait(10)))
        leaving = asyncio.create_task(transcoder.read(lambda: read.append(True)))
        await asyncio.sleep(0.01)
        leaving.cancel()
        await asyncio.sleep(0)
        go_on.set()
        await busy
        await transcoder.read(lambda: None)
        assert read == []

    def test_outputs_count_with_their_tensors(self):
        assert size_of({"a": torch.zeros(3), "b": [1, 2], "c": torch.zeros(2, dtype=torch.uint8)}) == 14
