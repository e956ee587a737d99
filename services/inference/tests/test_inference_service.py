"""Inference and profiling of sessions, and what is left of them when they close."""

import asyncio
import threading

import pytest
import torch

from swath.errors import InvalidInput, PipelineMissing, SessionNotFound, Unavailable
from swath_inference import InferenceService, InferenceSettings


def _batch():
    return {"data": torch.arange(48, dtype=torch.float32).reshape(1, 4, 4, 3)}


def _same(outputs):
    return outputs


async def test_a_session_s_pipeline_runs_without_gradients(service, normalizing):
    outputs = await service.infer(await normalizing(), _batch, [], _same)
    assert outputs["node.normalized"].shape == (1, 4, 4, 3)
    assert outputs["node.normalized"].is_inference()


@pytest.mark.parametrize(("only", "keys"), [(["normalized"], ["node.normalized"]), (["nothing"], []), ([], None)])
async def test_only_the_outputs_that_were_asked_for_come_back(service, normalizing, only, keys):
    outputs = await service.infer(await normalizing(), _batch, only, _same)
    assert keys is None or list(outputs) == keys


async def test_unknown_names_leave_no_plan_behind(service, normalizing):
    session_id = await normalizing()
    for number in range(5):
        await service.infer(session_id, _batch, ["normalized", f"nothing{number}"], _same)
    (model,) = service.runner._cache._models.values()
    assert len(model.pipeline._plans) == 1


async def test_unknown_sessions_and_sessions_without_a_pipeline_are_refused(service, sessions):
    with pytest.raises(SessionNotFound):
        await service.infer("nobody", _batch, [], _same)
    with pytest.raises(PipelineMissing):
        await service.infer((await sessions.create()).id, _batch, [], _same)
    assert not service._calls


async def test_closing_a_session_frees_its_model_and_times(service, profiling, sessions, normalizing):
    session_id = await normalizing()
    await profiling.set_profiling(session_id, enabled=True, synchronize=None, reset=None, skip_first=None)
    await service.infer(session_id, _batch, [], _same)
    assert [times.count for times in await profiling.profiling_summary(session_id, None)] == [1]
    await sessions.close(session_id)
    assert service.runner.keys == ()
    assert not service.profiler._records


async def test_a_forward_that_outlasts_its_session_leaves_nothing(service, sessions, normalizing):
    session_id = await normalizing()
    begun, go_on = threading.Event(), threading.Event()

    def read():
        begun.set()
        go_on.wait(10)
        return _batch()

    call = asyncio.create_task(service.infer(session_id, read, [], _same))
    await asyncio.to_thread(begun.wait, 10)
    closing = asyncio.create_task(sessions.close(session_id))
    await asyncio.sleep(0.01)
    go_on.set()
    await asyncio.gather(call, closing)
    assert service.runner.keys == ()
    assert not service._calls
    assert not service._closed


async def test_a_load_that_outlasts_its_session_leaves_nothing(service, sessions, artifacts, normalizing, monkeypatch):
    session_id = await normalizing()
    begun, go_on, get = asyncio.Event(), asyncio.Event(), artifacts.get

    async def slow(digest):
        begun.set()
        await go_on.wait()
        return await get(digest)

    monkeypatch.setattr(artifacts, "get", slow)
    call = asyncio.create_task(service.infer(session_id, _batch, [], _same))
    await begun.wait()
    await sessions.close(session_id)
    go_on.set()
    await call
    assert service.runner.keys == ()
    assert not service._closed


async def test_closing_a_session_closes_what_its_nodes_hold_open(service, sessions, normalizing, monkeypatch):
    from swath.engine.graph.pipeline import Pipeline

    closed = []
    monkeypatch.setattr(Pipeline, "close", lambda pipeline: closed.append(pipeline))
    session_id = await normalizing()
    await service.infer(session_id, _batch, [], _same)
    (model,) = service.runner._cache._models.values()
    await sessions.close(session_id)
    assert closed == [model.pipeline]


async def test_profiling_switches_are_checked(profiling, normalizing):
    session_id = await normalizing()
    with pytest.raises(InvalidInput, match="skip_first_n"):
        await profiling.set_profiling(session_id, enabled=True, synchronize=None, reset=None, skip_first=-1)


async def test_calls_are_refused_when_the_device_did_not_come_up(sessions, artifacts, workspace, normalizing):
    service = InferenceService(InferenceSettings(device="nonsense"), sessions, artifacts, workspace)
    waiting = asyncio.create_task(service.infer(await normalizing(), _batch, [], _same))
    with pytest.raises(RuntimeError):
        await service.warm_up()
    with pytest.raises(Unavailable, match="could not be brought up"):
        await waiting
    service.close()
