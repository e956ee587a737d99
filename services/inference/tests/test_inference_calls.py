"""Calls of sessions: what they see, what they leave behind, and when they are refused."""

import asyncio
import threading

import numpy as np
import pytest
import torch
from structlog.testing import capture_logs

from swath.documents import canonical, parse
from swath.errors import Exhausted, InputInvalid, NotFitted, PathDenied, PipelineMissing
from swath.storage.workspace.bucket import BucketWorkspace
from swath_inference import InferenceService, InferenceSettings

NORMALIZER = "cuvis_ai.node.normalization.MinMaxNormalizer"
WRITER = "cuvis_ai.node.numpy_writer.NumpyFeatureWriterNode"


def _batch():
    return {"data": torch.arange(48, dtype=torch.float32).reshape(1, 4, 4, 3)}


def _same(outputs):
    return outputs


@pytest.fixture
def opened(sessions, artifacts):
    """Makes a session of a pipeline of these nodes."""

    async def make(*nodes, edges=()):
        document = parse("pipeline", {"nodes": nodes, "connections": list(edges)})
        session = await sessions.create()
        await sessions.update(session.id, session.revision, pipeline_digest=artifacts.put_sync(canonical(document)))
        return session.id

    return make


@pytest.fixture
def started(sessions, artifacts, workspace):
    """Starts a service with settings of its own, and closes it after the test."""
    made = []

    async def start(workspace=workspace, **settings):
        service = InferenceService(InferenceSettings(device="cpu", **settings), sessions, artifacts, workspace)
        made.append(service)
        await service.warm_up()
        return service

    yield start
    for service in made:
        service.close()


class TestFigures:
    async def test_before_the_first_call_there_are_no_models(self, service):
        assert (
            len(service.runner.keys),
            service.runner.model_bytes,
            service.runner.model_loads,
            service.runner.waiting,
        ) == (0, 0, 0, 0)
        assert service.sessions_in_use() == set()

    async def test_models_and_sessions_in_use_are_counted(self, service, normalizing):
        first, second = await normalizing(), await normalizing()
        for session_id in (first, second, first):
            await service.infer(session_id, _batch, [], _same)
        assert (len(service.runner.keys), service.runner.model_loads) == (1, 1)
        assert service.runner.model_bytes > 0
        assert service.sessions_in_use() == {first, second}

    async def test_before_it_is_warm_there_is_nothing_to_count(self, sessions, artifacts, workspace):
        service = InferenceService(InferenceSettings(device="cpu"), sessions, artifacts, workspace)
        assert (
            len(service.runner.keys),
            service.runner.model_bytes,
            service.runner.model_loads,
            service.sessions_in_use(),
        ) == (0, 0, 0, set())
        service.close()

    async def test_a_cpu_has_no_memory_of_its_own(self, service):
        assert service.runner.device_memory() == {}


class TestRefusals:
    async def test_more_calls_than_may_wait_are_refused(self, started, normalizing):
        service, session_id = await started(queue_limit=1), await normalizing()
        begun, go_on = threading.Event(), threading.Event()

        def read():
            begun.set()
            go_on.wait(10)
            return _batch()

        first = asyncio.create_task(service.infer(session_id, read, [], _same))
        await asyncio.to_thread(begun.wait, 10)
        assert service.runner.waiting == 1
        with pytest.raises(Exhausted, match="1 calls wait for the device already"):
            await service.infer(session_id, _batch, [], _same)
        go_on.set()
        await first

    async def test_a_batch_that_does_not_fit_fails_its_call_alone(self, service, normalizing):
        session_id = await normalizing()
        with pytest.raises(InputInvalid, match="data"):
            await service.infer(session_id, lambda: {"data": torch.zeros(3)}, [], _same)
        assert await service.infer(session_id, _batch, [], _same)

    async def test_what_reading_a_batch_raises_is_what_the_call_raises(self, service, normalizing):
        def read():
            raise InputInvalid("no batch")

        with pytest.raises(InputInvalid, match="no batch"):
            await service.infer(await normalizing(), read, [], _same)
        assert service.runner.waiting == 0

    async def test_a_node_that_was_not_fitted_is_named(self, service, opened):
        rx = {
            "name": "rx",
            "class_name": "cuvis_ai.node.anomaly.rx_detector.RXGlobal",
            "hparams": {"num_channels": 3},
        }
        with pytest.raises(NotFitted, match="'rx'"):
            await service.infer(await opened(rx), _batch, [], _same)

    async def test_a_call_that_is_cancelled_while_it_waits_is_never_read(self, service, normalizing):
        session_id, read = await normalizing(), []
        await service.infer(session_id, _batch, [], _same)
        begun, go_on = threading.Event(), threading.Event()
        busy = asyncio.create_task(
            service.infer(session_id, lambda: (begun.set(), go_on.wait(10), _batch())[2], [], _same)
        )
        await asyncio.to_thread(begun.wait, 10)
        leaving = asyncio.create_task(service.infer(session_id, lambda: read.append(True), [], _same))
        while service.runner.waiting < 2:  # noqa: ASYNC110  no event for a call that has come to the queue
            await asyncio.sleep(0)
        leaving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await leaving
        go_on.set()
        await busy
        assert read == []


class TestPipelines:
    async def test_new_weights_are_seen_by_the_next_call(self, service, sessions, artifacts, opened):
        from swath.engine.graph import weights

        session_id = await opened({"name": "node", "class_name": NORMALIZER})
        highest = []
        for learnt in (47.0, 94.0):
            state = {
                "running_min": torch.tensor(0.0),
                "running_max": torch.tensor(learnt),
                "fitted": torch.tensor(True),
            }
            digest = artifacts.put_sync(weights.dump({"node": state}))
            await sessions.change(session_id, lambda _, digest=digest: {"weights_digest": digest})
            outputs = await service.infer(session_id, _batch, [], _same)
            highest.append(outputs["node.normalized"].max().item())
        assert highest == pytest.approx([1.0, 0.5])
        assert len(service.runner.keys) == 1

    async def test_a_new_pipeline_is_seen_by_the_next_call(self, service, sessions, artifacts, normalizing, pipeline):
        session_id = await normalizing()
        await service.infer(session_id, _batch, [], _same)
        other = pipeline(3)
        await sessions.change(session_id, lambda _: {"pipeline_digest": other})
        with pytest.raises(NotFitted):
            await service.infer(session_id, _batch, [], _same)

    async def test_a_session_that_loses_its_pipeline_is_refused(self, service, sessions, normalizing):
        session_id = await normalizing()
        await service.infer(session_id, _batch, [], _same)
        await sessions.change(session_id, lambda _: {"pipeline_digest": None})
        with pytest.raises(PipelineMissing):
            await service.infer(session_id, _batch, [], _same)

    async def test_nodes_with_memory_start_anew_in_each_call(self, service, opened):
        # A track counts from its third frame on: with a memory, the third call would have one.
        tracker = {
            "name": "track",
            "class_name": "cuvis_ai.node.mask_ops.MaskToBBoxKalman",
            "hparams": {"min_hits": 3, "min_size_px": 1},
        }
        session_id = await opened(tracker)
        mask = torch.zeros(1, 8, 8, dtype=torch.int32)
        mask[0, 2:5, 2:5] = 1
        valid = [
            (await service.infer(session_id, lambda: {"mask": mask}, ["valid"], _same))["track.valid"].tolist()
            for _ in range(4)
        ]
        assert valid == [[0]] * 4
        together = await service.infer(session_id, lambda: {"mask": mask.repeat(4, 1, 1)}, ["valid"], _same)
        assert together["track.valid"].tolist() == [0, 0, 1, 1]

    async def test_calls_of_many_sessions_go_one_by_one_and_none_is_mixed_up(self, service, normalizing):
        ids = [await normalizing() for _ in range(3)]

        async def ask(number):
            batch = {"data": torch.tensor([0.0, float(number), 8.0]).reshape(1, 1, 3, 1)}
            outputs = await service.infer(ids[number % 3], lambda: batch, [], _same)
            return outputs["node.normalized"].ravel().tolist()

        assert await asyncio.gather(*(ask(number) for number in range(1, 8))) == [
            [0.0, number / 8, 1.0] for number in range(1, 8)
        ]


class TestFiles:
    """Nodes that write files, in a folder and in a bucket."""

    @pytest.fixture
    def writing(self, opened):
        async def make(folder="written"):
            return await opened({"name": "writer", "class_name": WRITER, "hparams": {"output_dir": folder}})

        return make

    def _frame(self, number):
        return lambda: {"features": torch.full((1, 2, 3), float(number)), "frame_id": torch.tensor([number])}

    async def test_a_file_is_there_when_the_call_is_answered(self, service, writing, workspace):
        await service.infer(await writing(), self._frame(7), [], _same)
        assert np.load(workspace.root / "written" / "features_000007.npy").tolist() == [[7.0] * 3] * 2

    async def test_a_file_outside_of_the_workspace_is_denied(self, service, writing):
        with pytest.raises(PathDenied):
            await service.infer(await writing("/etc"), self._frame(1), [], _same)

    @pytest.fixture
    def bucket(self, s3_location, workspace, tmp_path):
        """A workspace in a bucket."""
        made = BucketWorkspace(
            s3_location, workspace.configs, public="/workspace", cache=tmp_path / "cache", cache_bytes=2**30
        )
        yield made
        made.close()

    async def test_a_file_is_in_the_bucket_when_the_call_is_answered(self, bucket, started, writing):
        service = await started(bucket)
        session_id = await writing()
        for number in (1, 2):
            await service.infer(session_id, self._frame(number), [], _same)
            assert bucket.bucket.get(f"written/features_00000{number}.npy").startswith(b"\x93NUMPY")

    async def test_closing_the_session_leaves_no_local_file(self, bucket, started, writing, sessions, tmp_path):
        service = await started(bucket)
        sessions.on_close(service.forget, service.sessions_in_use)
        session_id = await writing()
        await service.infer(session_id, self._frame(3), [], _same)
        assert list((tmp_path / "cache").rglob("features_000003.npy"))
        await sessions.close(session_id)
        service.close()
        assert not list((tmp_path / "cache").rglob("features_000003.npy"))
        assert bucket.bucket.get("written/features_000003.npy")


async def test_a_service_that_is_closed_frees_its_models(started, normalizing):
    service = await started()
    await service.infer(await normalizing(), _batch, [], _same)
    with capture_logs() as logs:
        service.close()
    assert len(service.runner.keys) == 0
    assert logs == []


class TestForgetting:
    async def test_a_session_that_made_no_call_is_forgotten_without_an_error(self, service):
        await service.forget("nobody")
        assert service.sessions_in_use() == set()

    async def test_one_session_s_model_stays_for_the_others(self, service, sessions, normalizing):
        first, second = await normalizing(), await normalizing()
        for session_id in (first, second):
            await service.infer(session_id, _batch, [], _same)
        await sessions.close(first)
        assert (len(service.runner.keys), service.sessions_in_use()) == (1, {second})
        await sessions.close(second)
        assert (len(service.runner.keys), service.sessions_in_use()) == (0, set())
