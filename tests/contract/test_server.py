"""The server as a process: what survives a kill, how it goes away, what it refuses."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from swath.client import Client, build_stub, config_search_paths, numpy_to_proto
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb

CUVIS = "cuvis_ai.v1.CuvisAIService"


def test_everything_acknowledged_outlives_a_kill(own_server, scene):
    cube, wavelengths = scene["cube"][None].astype(np.float32), scene["wavelengths"][None]
    with Client(own_server.target) as client:
        session = client.open_session()
        paths = session.search(["trainrun"])
        session.set_run_config(session.resolve("trainrun", "trainrun/san_diego_rx"))
        for _ in session.train("statistical"):
            pass
        before = session.infer(cube=cube, wavelengths=wavelengths, outputs=["scores"]).only("scores")
    own_server.kill()
    own_server.start()
    with Client(own_server.target) as client:
        session = client.attach(session.id)
        assert session.search([]).current == paths.current
        after = session.infer(cube=cube, wavelengths=wavelengths, outputs=["scores"]).only("scores")
        np.testing.assert_array_equal(before, after)
        assert session.save_trainrun("runs/after_the_kill.yaml").trainrun.endswith("after_the_kill.yaml")


def test_sigterm_fails_no_call(own_server, scene):
    """Health turns, calls in flight end well, new ones are refused as UNAVAILABLE, the exit code is 0."""
    with Client(own_server.target) as client:
        session = client.open_session()
        session.set_run_config(session.resolve("trainrun", "trainrun/san_diego_rx"))
        for _ in session.train("statistical"):
            pass
    stub = build_stub(own_server.target)
    batch = pb.InputBatch(
        cube=numpy_to_proto(scene["cube"][None].astype(np.float32)),
        wavelengths=numpy_to_proto(scene["wavelengths"][None]),
    )
    failures: list[grpc.StatusCode] = []
    done = threading.Event()

    def keep_calling() -> None:
        while not done.is_set():
            try:
                stub.Inference(pb.InferenceRequest(session_id=session.id, inputs=batch, output_specs=["scores"]))
            except grpc.RpcError as error:
                failures.append(error.code())  # type: ignore[attr-defined]
                return

    with ThreadPoolExecutor(2) as pool:
        callers = [pool.submit(keep_calling) for _ in range(2)]
        time.sleep(0.5)
        code = own_server.stop()
        done.set()
        for caller in callers:
            caller.result()
    assert code == 0
    assert set(failures) <= {grpc.StatusCode.UNAVAILABLE}


def test_health_watch_sees_the_drain(own_server):
    with grpc.insecure_channel(own_server.target) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        watch = stub.Watch(health_pb2.HealthCheckRequest(service=CUVIS))
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        os.kill(own_server.pid, signal.SIGTERM)
        assert next(watch).status == health_pb2.HealthCheckResponse.NOT_SERVING
        watch.cancel()


def test_one_state_folder_serves_one_server(server):
    command = [sys.executable, "-m", "swath_standalone", "--port", "0", "--state", str(server.state)]
    second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == 1
    assert "another server uses the state folder" in second.stderr


def test_a_port_that_is_taken_is_said_in_one_line(server, tmp_path):
    command = [sys.executable, "-m", "swath_standalone", "--port", str(server.port), "--state", str(tmp_path)]
    second = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert second.returncode == 1
    assert f"cannot listen on 127.0.0.1:{server.port}" in second.stderr
    assert "Traceback" not in second.stderr


def test_eight_clients_resolve_two_hundred_configs_right(server):
    def resolve(number: int) -> list[int]:
        stub = build_stub(server.target)
        session = stub.CreateSession(pb.CreateSessionRequest()).session_id
        stub.SetSessionSearchPaths(
            pb.SetSessionSearchPathsRequest(session_id=session, search_paths=config_search_paths())
        )
        answers = []
        for index in range(25):
            wanted = 1 + number * 25 + index
            answer = stub.ResolveConfig(
                pb.ResolveConfigRequest(
                    session_id=session,
                    config_type="trainrun",
                    path="trainrun/san_diego_rx",
                    overrides=[f"data.batch_size={wanted}"],
                )
            )
            answers.append(f'"batch_size": {wanted},'.encode() in answer.config_bytes)
        stub.CloseSession(pb.CloseSessionRequest(session_id=session))
        return answers

    with ThreadPoolExecutor(8) as pool:
        right = [each for answers in pool.map(resolve, range(8)) for each in answers]
    assert right == [True] * 200


def test_a_message_above_the_limit_is_exhausted(tmp_path):
    from swath_standalone.process import ServerProcess

    small = ServerProcess(tmp_path / "state", environment={"SWATH_MAX_MESSAGE_BYTES": "100000"})
    small.start(wait_for="swath.session")
    try:
        stub = build_stub(small.target)
        with pytest.raises(grpc.RpcError) as caught:
            stub.ValidateConfig(pb.ValidateConfigRequest(config_type="data", config_bytes=bytes(200_000)))
    finally:
        small.stop()
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED  # type: ignore[attr-defined]
    assert "Received message larger than max" in caught.value.details()  # type: ignore[attr-defined]
