"""Any replica serves any session: a client that is passed from one to another sees all that it wrote."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pytest

from swath.client import Client, ClientConfig, Session, build_stub
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath_suite.suite import Suite


def _calls(suite: Suite, part: str, method: str) -> list[int]:
    """How many calls of a method each replica of a service has answered."""
    counts = []
    for process in suite.replicas(part):
        handled = [line for line in suite.metrics(process.name).splitlines() if "grpc_server_handled_total{" in line]
        lines = [line for line in handled if f'"{method}"' in line]
        counts.append(sum(int(float(line.rsplit(" ", 1)[1])) for line in lines))
    return counts


def _models(suite: Suite) -> list[int]:
    """How many models each replica of the inference service has loaded."""
    found = []
    for process in suite.replicas("inference"):
        lines = suite.metrics(process.name).splitlines()
        found.append(int(float(next(line for line in lines if line.startswith("swath_inference_models ")).split()[1])))
    return found


def test_files_that_were_put_at_one_replica_are_read_at_others(client: Client, tmp_path: Path) -> None:
    for number in range(6):
        (tmp_path / "note.txt").write_text(str(number))
        client.workspace.put(str(tmp_path / "note.txt"), "notes/note.txt")
        for _ in range(3):
            client.workspace.get("notes/note.txt", str(tmp_path / "back.txt"))
            assert (tmp_path / "back.txt").read_text() == str(number)


def test_what_was_written_through_one_is_read_through_another(suite: Suite, configured: Session) -> None:
    for channels in (5, 6, 7, 8):
        config = configured.resolve(
            "trainrun",
            "trainrun/san_diego_channel_selector",
            [f"pipeline.nodes.selector.hparams.n_select={channels}"],
        )
        configured.set_run_config(config)
        stub = build_stub(suite.target)
        for _ in range(4):
            inputs = stub.GetPipelineInputs(pb.GetPipelineInputsRequest(session_id=configured.id))
            assert inputs.input_specs


def test_training_is_followed_stopped_and_asked_for_anywhere(suite: Suite, configured: Session, client: Client) -> None:
    configured.set_run_config(
        configured.resolve("trainrun", "trainrun/san_diego_deep_svdd", ["training.max_epochs=500"])
    )
    list(configured.train("statistical"))
    with ThreadPoolExecutor(4) as pool, Client(ClientConfig(target=suite.target)) as other:
        follows = threading.Semaphore(0)

        def follow(_: int) -> list[int]:
            statuses = []
            with Client(ClientConfig(target=suite.target)) as own:
                for told in own.attach(configured.id).train("gradient"):
                    if not statuses:
                        follows.release()
                    statuses.append(told.status)
            return statuses

        following = [pool.submit(follow, number) for number in range(4)]
        deadline = time.monotonic() + 60
        while other.attach(configured.id).status().status != pb.TRAIN_STATUS_RUNNING:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        # One that came after the stop would begin another run.
        assert all(follows.acquire(timeout=60) for _ in following)
        other.attach(configured.id).stop()
        ends = [each.result(60)[-1] for each in following]
    assert ends == [pb.TRAIN_STATUS_CANCELLED] * 4


def test_profiles_of_all_replicas_are_one_summary(
    suite: Suite, configured: Session, scene: dict[str, np.ndarray]
) -> None:
    list(configured.train("statistical"))
    stub = build_stub(suite.target)
    stub.SetProfiling(pb.SetProfilingRequest(session_id=configured.id, enabled=True))
    before = _calls(suite, "inference", "Inference")

    def infer(_: int) -> None:
        with Client(ClientConfig(target=suite.target)) as own:
            cube = scene["cube"][None].astype("float32")
            own.attach(configured.id).infer(cube=cube, wavelengths=scene["wavelengths"][None], outputs=["scores"])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(infer, range(12)))
    after = _calls(suite, "inference", "Inference")
    assert all(late > early for early, late in zip(before, after, strict=True)), "both replicas had some"
    for _ in range(4):
        summary = stub.GetProfilingSummary(pb.GetProfilingSummaryRequest(session_id=configured.id))
        assert {stats.count for stats in summary.node_stats if stats.node_name == "rx"} == {12}


def test_a_closed_session_is_gone_everywhere_and_its_model_with_it(
    suite: Suite, configured: Session, scene: dict[str, np.ndarray]
) -> None:
    # A pipeline of its own: what it shares with a published model would stay.
    own = configured.resolve("trainrun", "trainrun/san_diego_rx", ["pipeline.nodes.rx.hparams.eps=1.25e-6"])
    configured.set_run_config(own)
    before = _models(suite)
    list(configured.train("statistical"))
    configured.infer(
        cube=scene["cube"][None].astype("float32"), wavelengths=scene["wavelengths"][None], outputs=["scores"]
    )
    assert sum(_models(suite)) == sum(before) + 1
    configured.close()
    for _ in range(6):
        with pytest.raises(grpc.RpcError) as raised:
            build_stub(suite.target).GetTrainStatus(pb.GetTrainStatusRequest(session_id=configured.id))
        assert raised.value.code() is grpc.StatusCode.NOT_FOUND
    deadline = time.monotonic() + 60
    while (models := _models(suite)) != before:
        assert time.monotonic() < deadline, f"models of each replica: {before} before, {models} since"
        time.sleep(0.05)
