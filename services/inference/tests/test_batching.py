"""Calls of different sessions computed together: as those computed alone, whatever happens to their neighbours."""

import asyncio
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
import yaml

from swath.documents import canonical, parse
from swath.engine.graph import weights
from swath.engine.graph.independence import Independence
from swath.engine.graph.pipeline import Pipeline
from swath.errors import InputInvalid, TimedOut
from swath_inference import InferenceService, InferenceSettings
from swath_inference.dataplane import batcher
from swath_inference.dataplane.merging import joined, merge_key, parted
from swath_inference.dataplane.request import Apart, InferRequest
from swath_inference.profiling.service import ProfilingService

CONFIGS = Path(__file__).parents[3] / "configs" / "pipeline"
BANDS = 61
NEAR = 2e-5
"""How far sums of products go apart in float32 where the number of rows decides their order, relative and absolute."""

SHIPPED = {
    "anomaly/rx/rx_statistical": "BinaryDecider.decisions",
    "anomaly/rx/channel_selector": "RXGlobal.scores",
    "anomaly/deep_svdd/deep_svdd": "QuantileBinaryDecider.decisions",
    "spectral_match/spectral_match": "mask.decisions",
    "spectral_match/spectral_match_validity": "mask.decisions",
}


def _batch(frames=1, seed=0, first=430):
    generator = torch.Generator().manual_seed(seed)
    mask = torch.zeros(frames, 6, 5, dtype=torch.int32)
    mask[:, 2:4, 2:4] = 2
    cube = torch.randint(100, 3000, (frames, 6, 5, BANDS), generator=generator)
    cube[mask == 2] += 500
    return {
        "cube": cube.to(torch.float32),
        "mask": mask,
        "wavelengths": torch.arange(first, first + 8 * BANDS, 8, dtype=torch.int32).expand(frames, -1).contiguous(),
        "spectral_signature": torch.full((1, 1, 1, BANDS), 700.0),
    }


def _fitted(document, batch):
    pipeline = Pipeline.from_document(document)
    for wave in pipeline.fit_waves():
        fed = pipeline.inputs_of(wave, batch)
        for name in wave:
            node = cast(Any, pipeline.nodes[name])
            node.begin_fit()
            node.fit_batch(fed[name])
            node.end_fit()
    return pipeline


def _same(outputs):
    return outputs


class Bench:
    """A service whose device can be kept busy, and sessions of one pipeline."""

    def __init__(self, sessions, artifacts, workspace):
        self.sessions, self.artifacts, self.workspace = sessions, artifacts, workspace
        self.made = []

    async def start(self, **settings):
        service = InferenceService(
            InferenceSettings(device="cpu", **settings), self.sessions, self.artifacts, self.workspace
        )
        self.made.append(service)
        await service.warm_up()
        return service

    async def open(self, document, state=None):
        session = await self.sessions.create()
        digest = self.artifacts.put_sync(canonical(document))
        weighed = None if state is None else self.artifacts.put_sync(weights.dump(state))
        await self.sessions.update(session.id, session.revision, pipeline_digest=digest, weights_digest=weighed)
        return session.id

    async def together(self, service, calls):
        """Make calls (a session, a batch, outputs) while the device is busy, and return what comes of each."""
        go_on = threading.Event()
        for session_id in {call[0] for call in calls}:
            await service.runner._cache.get(await self._key(session_id), session_id)
        service.runner.threads[0].later(lambda: go_on.wait(30))
        asked = [
            asyncio.ensure_future(service.infer(session_id, lambda batch=batch: batch, only, _same, size=0))
            for session_id, batch, only in calls
        ]
        await self.waiting(service, len(calls))
        go_on.set()
        return await asyncio.gather(*asked, return_exceptions=True)

    async def waiting(self, service, calls):
        async with asyncio.timeout(30):
            while service.runner.waiting < calls:  # noqa: ASYNC110  no event for a call that has come to the queue
                await asyncio.sleep(0.001)

    async def _key(self, session_id):
        session = await self.sessions.get(session_id)
        return session.pipeline_digest, session.weights_digest

    def close(self):
        for service in self.made:
            service.close()


@pytest.fixture
async def bench(sessions, artifacts, workspace):
    made = Bench(sessions, artifacts, workspace)
    yield made
    made.close()


@pytest.fixture
def shipped():
    """A shipped pipeline as a document, and its state after a fit."""

    def make(name, batch):
        document = parse("pipeline", yaml.safe_load((CONFIGS / f"{name}.yaml").read_text()))
        return document, _fitted(document, batch).state()

    return make


def _assert_same(found, expected):
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        if isinstance(value, torch.Tensor):
            near = NEAR if value.is_floating_point() else 0
            torch.testing.assert_close(found[key], value, rtol=near, atol=near, equal_nan=True, msg=key)
        else:
            assert found[key] == value, key


@pytest.mark.parametrize("name", sorted(SHIPPED))
async def test_calls_of_sessions_that_share_a_model_are_as_computed_alone(bench, shipped, name):
    # deep_svdd was written for an instrument with 27 bands from 700 nm on.
    first = 430 - 272 + 270 if name == "anomaly/deep_svdd/deep_svdd" else 430
    batches = [_batch(frames, seed, first) for seed, frames in enumerate((1, 1, 2, 1, 2))]
    batches[3]["cube"][0, 1, 2, 7] = torch.nan
    document, state = shipped(name, _batch(3, 9, first))
    ids = [await bench.open(document, state) for _ in range(3)]
    calls = [(ids[number % 3], batch, []) for number, batch in enumerate(batches)]

    service, alone = await bench.start(), await bench.start(batch_calls=1)
    found = await bench.together(service, calls)
    for result, (session_id, batch, only) in zip(found, calls, strict=True):
        assert not isinstance(result, BaseException), result
        _assert_same(result, await alone.infer(session_id, lambda batch=batch: batch, only, _same))
    assert SHIPPED[name] in found[0]
    assert service.runner.batching().merged >= 3
    assert alone.runner.batching().merged == 0


async def test_pipelines_whose_values_are_exact_are_so_bit_for_bit(bench):
    document = parse(
        "pipeline",
        {
            "nodes": [
                {
                    "name": "scale",
                    "class_name": "cuvis_ai.node.normalization.MinMaxNormalizer",
                    "hparams": {"use_running_stats": False},
                }
            ],
            "connections": [],
        },
    )
    session_id = await bench.open(document)
    batches = [torch.rand(1, 4, 4, 3, generator=torch.Generator().manual_seed(seed)) for seed in range(8)]
    service = await bench.start()
    found = await bench.together(service, [(session_id, {"data": data}, []) for data in batches])
    for result, data in zip(found, batches, strict=True):
        low, high = data.amin(dim=(1, 2), keepdim=True), data.amax(dim=(1, 2), keepdim=True)
        assert torch.equal(result["scale.normalized"], (data - low) / (high - low).clamp_min(1e-6))
    assert service.runner.batching().merged >= 7


@pytest.fixture
async def scaling(bench):
    """Sessions of a pipeline that scales `data` [B, H, W, C], each frame by itself, and its service."""
    document = parse(
        "pipeline",
        {
            "nodes": [
                {
                    "name": "scale",
                    "class_name": "cuvis_ai.node.normalization.MinMaxNormalizer",
                    "hparams": {"use_running_stats": False},
                }
            ],
            "connections": [],
        },
    )
    return await bench.start(), [await bench.open(document) for _ in range(3)]


def _ramp(top, width=3):
    return {"data": torch.linspace(0, top, width).reshape(1, 1, width, 1)}


async def test_one_call_that_does_not_fit_is_one_error(bench, scaling):
    service, ids = scaling
    bad = {"data": torch.zeros(1, 1, 3, 1, dtype=torch.int32)}
    calls = [(ids[number % 3], bad if number == 2 else _ramp(number + 1.0), []) for number in range(5)]
    found = await bench.together(service, calls)
    assert isinstance(found.pop(2), InputInvalid)
    assert [result["scale.normalized"].ravel().tolist() for result in found] == [[0.0, 0.5, 1.0]] * 4


async def test_a_batch_that_fails_as_a_whole_fails_for_the_bad_one_alone(bench):
    # The values of its spectrum are what is wrong with one of them, which types and shapes do not show.
    document = parse(
        "pipeline",
        {"nodes": [{"name": "rx", "class_name": "RXPerBatch", "hparams": {"eps": 0.0}}], "connections": []},
    )
    session_id = await bench.open(document)
    service = await bench.start()
    good = [torch.rand(1, 5, 5, 2, generator=torch.Generator().manual_seed(seed)) for seed in range(3)]
    flat = torch.ones(1, 5, 5, 2)
    calls = [(session_id, {"data": data}, []) for data in (*good[:2], flat, good[2])]
    found = await bench.together(service, calls)
    alone = await bench.start(batch_calls=1)
    expected = []
    for _, batch, _ in calls:
        try:
            expected.append(await alone.infer(session_id, lambda batch=batch: batch, [], _same))
        except InputInvalid as error:
            expected.append(error)
    assert [type(result) for result in found] == [type(result) for result in expected]
    for result, wanted in zip(found, expected, strict=True):
        if isinstance(wanted, dict):
            torch.testing.assert_close(result["rx.scores"], wanted["rx.scores"], rtol=1e-4, atol=1e-4)
    assert any(isinstance(result, InputInvalid) for result in found)


async def test_shapes_outputs_and_wavelengths_keep_calls_apart(bench, shipped):
    document, state = shipped("anomaly/rx/rx_statistical", _batch(3, 9))
    session_id = await bench.open(document, state)
    shifted = _batch(1, 1, first=500)
    calls = [
        (session_id, _batch(1, 0), ["scores"]),
        (session_id, shifted, ["scores"]),
        (session_id, _batch(1, 2), ["RXGlobal.scores"]),
        (session_id, {key: value for key, value in _batch(1, 3).items() if key != "mask"}, ["scores"]),
    ]
    service = await bench.start()
    found = await bench.together(service, calls)
    assert all(isinstance(result, dict) for result in found)
    assert service.runner.batching().merged == 0


async def test_calls_that_leave_or_run_out_of_time_harm_nobody(bench, scaling):
    service, ids = scaling
    go_on = threading.Event()
    await service.infer(ids[0], lambda: _ramp(1.0), [], _same)
    before = service.runner.batching().calls
    service.runner.threads[0].later(lambda: go_on.wait(30))

    def ask(number, **fields):
        return asyncio.ensure_future(
            service.infer(ids[number % 3], lambda: _ramp(number + 1.0), [], _same, size=0, **fields)
        )

    first = ask(0)
    await bench.waiting(service, 1)
    await asyncio.sleep(0.01)
    staying, leaving, late = ask(1), ask(2), ask(3, deadline=time.monotonic() + 0.01)
    await bench.waiting(service, 4)
    leaving.cancel()
    await asyncio.sleep(0.02)
    go_on.set()
    for call in (first, staying):
        assert (await call)["scale.normalized"].ravel().tolist() == [0.0, 0.5, 1.0]
    with pytest.raises(TimedOut):
        await late
    with pytest.raises(asyncio.CancelledError):
        await leaving
    assert service.runner.batching().calls == before + 2
    assert service.runner.waiting == 0


async def test_a_session_that_is_profiled_is_computed_alone(bench, scaling, sessions):
    service, ids = scaling
    profiling = ProfilingService(sessions, service.profiler)
    await profiling.set_profiling(ids[0], enabled=True, synchronize=None, reset=None, skip_first=None)
    found = await bench.together(service, [(ids[0], _ramp(number + 1.0), []) for number in range(3)])
    assert all(isinstance(result, dict) for result in found)
    assert service.runner.batching().merged == 0
    assert [times.count for times in await profiling.profiling_summary(ids[0], None)] == [3]


async def test_a_session_that_closes_takes_its_model_from_no_call_under_way(bench, scaling, sessions, monkeypatch):
    service, ids = scaling
    closed = []
    monkeypatch.setattr(Pipeline, "close", lambda pipeline: closed.append(pipeline))
    sessions.on_close(service.forget, service.sessions_in_use)
    await service.infer(ids[0], lambda: _ramp(1.0), [], _same)
    go_on = threading.Event()
    service.runner.threads[0].later(lambda: go_on.wait(30))
    calls = [
        asyncio.ensure_future(service.infer(ids[0], lambda: _ramp(2.0), [], lambda outputs: len(closed), size=0))
        for _ in range(3)
    ]
    await bench.waiting(service, 3)
    closing = asyncio.ensure_future(sessions.close(ids[0]))
    await asyncio.sleep(0.05)
    assert not closed
    go_on.set()
    assert await asyncio.gather(*calls) == [0, 0, 0]
    await closing
    await asyncio.wrap_future(service.runner.threads[0].later(lambda: None))
    assert len(closed) == 1


class TestParting:
    def test_outputs_of_the_whole_batch_are_everybody_s(self):
        outputs = {"a.map": torch.arange(6).reshape(3, 2), "a.weights": torch.ones(4)}
        shares = parted(outputs, [1, 2], frozenset({"a.weights"}))
        assert shares is not None
        one, two = shares
        assert one["a.map"].tolist() == [[0, 1]]
        assert two["a.map"].tolist() == [[2, 3], [4, 5]]
        assert one["a.weights"] is two["a.weights"] is outputs["a.weights"]

    @pytest.mark.parametrize("value", [torch.ones(4), torch.tensor(1.0), [1, 2, 3], "text"])
    def test_what_has_no_axis_of_items_cannot_be_parted(self, value):
        assert parted({"a.port": value}, [1, 2], frozenset()) is None


async def test_a_pipeline_whose_outputs_cannot_be_parted_is_computed_alone_from_then_on(bench, scaling, monkeypatch):
    service, ids = scaling
    from swath.engine.nodes.normalization.minmax import MinMaxNormalizer

    # A node that claims more than it keeps: it puts out the first frame alone.
    true = MinMaxNormalizer.run
    monkeypatch.setattr(
        MinMaxNormalizer, "run", lambda node, *given: {"normalized": true(node, *given)["normalized"][:1]}
    )
    calls = [(ids[number % 3], _ramp(number + 1.0), []) for number in range(4)]
    found = await bench.together(service, calls)
    assert [result["scale.normalized"].ravel().tolist() for result in found] == [[0.0, 0.5, 1.0]] * 4
    (model,) = service.runner._cache._models.values()
    assert not model.merges
    merged = service.runner.batching().merged
    await bench.together(service, calls)
    assert service.runner.batching().merged == merged


@pytest.mark.parametrize("bad", [False, True])
async def test_joining_that_fails_by_itself_is_not_tried_again_for_a_while(bench, scaling, monkeypatch, bad):
    service, ids = scaling
    from swath.engine.nodes.normalization.minmax import MinMaxNormalizer

    # A node that takes one frame at a time, and none with a negative number.
    true, tried = MinMaxNormalizer.run, []

    def run(node, inputs, *rest):
        data = inputs["data"]
        tried.append(data.shape[0])
        assert data.shape[0] == 1
        assert not (data < 0).any()
        return true(node, inputs, *rest)

    monkeypatch.setattr(MinMaxNormalizer, "run", run)
    # All on the device's thread, which is kept busy until all calls are there.
    monkeypatch.setattr(batcher, "_QUICK_S", 0.0)
    monkeypatch.setattr(batcher, "_QUICK_BATCH_S", 0.0)
    calls = [(ids[number % 3], _ramp(-1.0 if bad and not number else number + 1.0), []) for number in range(4)]

    async def merged_and_tried():
        tried.clear()
        before = service.runner.batching()
        found = await bench.together(service, calls)
        after = service.runner.batching()
        assert isinstance(found[0], Exception) is bad
        assert all(result["scale.normalized"].ravel().tolist() == [0.0, 0.5, 1.0] for result in found[1:])
        # What was computed one by one is counted so.
        assert after.calls - before.calls == after.forwards - before.forwards == 4
        return after.merged - before.merged, sorted(tried)[4:]

    assert await merged_and_tried() == (0, [4])
    # What one call is to blame for does not keep the others from company.
    assert await merged_and_tried() == (0, [4] if bad else [])
    (model,) = service.runner._cache._models.values()
    monkeypatch.setattr(model, "apart", Apart())
    assert await merged_and_tried() == (0, [4])


def test_what_fails_together_is_forgotten_after_a_while(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    apart = Apart()
    apart.add("key")
    now[0] = 59.0
    assert "key" in apart
    assert "other" not in apart
    now[0] = 61.0
    assert "key" not in apart
    # Clients choose the keys: only some are kept.
    for number in range(100):
        apart.add(number)
    assert sum(number in apart for number in range(100)) == 16
    assert 99 in apart


def test_the_shipped_pipelines_that_are_computed_together():
    found = {}
    for path in CONFIGS.rglob("*.yaml"):
        pipeline = Pipeline.from_document(parse("pipeline", yaml.safe_load(path.read_text())))
        found[str(path.relative_to(CONFIGS).with_suffix(""))] = pipeline.independence
    assert {name for name, independence in found.items() if independence is Independence.BATCH} == {
        "medical/blood_perfusion/ndvi"  # writes a video
    }
    assert {name for name, independence in found.items() if independence is Independence.PIXEL} == {
        "anomaly/rx/channel_selector",
        "anomaly/rx/rx_statistical",
        "san_diego/channel_selector",
        "san_diego/rx",
    }


async def test_what_calls_share_is_not_a_view_of_memory_that_its_client_may_write():
    bands = torch.arange(4, dtype=torch.float32)
    pipeline = SimpleNamespace(common_inputs=frozenset(("wavelengths",)))
    model = SimpleNamespace(merges=True, pipeline=pipeline, apart=Apart())

    def request(shared):
        return InferRequest(cast(Any, model), {"cube": torch.ones(1, 2), "wavelengths": shared}, cast(Any, None))

    one, other = request(bands), request(bands.clone())
    assert merge_key(one) == merge_key(other)
    bands.fill_(99.0)
    assert joined([one, other])["wavelengths"].tolist() == [0.0, 1.0, 2.0, 3.0]
