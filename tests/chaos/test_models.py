"""Published models that are taken back under load, and replicas that die while they load one."""

from __future__ import annotations

import base64
import json
import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import numpy as np
import pytest

from swath.client import Client, NotFoundError
from swath.inference import open_inference_pb2 as pb
from swath.inference import open_inference_pb2_grpc
from swath.models.v1 import models_pb2
from swath.redhare import stream_pb2, stream_pb2_grpc
from swath.rpc.proxies import NO_PROXY
from swath_standalone.process import ServerProcess
from swath_suite.suite import Suite

SCALE = {
    "nodes": [
        {
            "name": "scale",
            "class_name": "cuvis_ai.node.normalization.MinMaxNormalizer",
            "hparams": {"use_running_stats": False},
        }
    ],
    "connections": [],
}
OUTPUT = "scale.normalized"
CUBE = np.random.default_rng(5).integers(0, 255, (2, 48, 48, 5)).astype(np.float32)
_LEAST, _MOST = CUBE.min((1, 2), keepdims=True), CUBE.max((1, 2), keepdims=True)
SCALED = (CUBE - _LEAST) / (_MOST - _LEAST)

Way = Callable[[str, str], Iterator[np.ndarray | None]]
"""Calls a model of a server again and again: yields what comes back, and None for NOT_FOUND."""


@contextmanager
def _channel(target: str) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(target, options=[NO_PROXY, ("grpc.use_local_subchannel_pool", 1)]) as channel:
        yield channel


def _is_not_found(error: Any) -> bool:
    return error.code() is grpc.StatusCode.NOT_FOUND


def _request(model: str) -> pb.ModelInferRequest:
    data = pb.ModelInferRequest.InferInputTensor(name="data", datatype="FP32", shape=CUBE.shape)
    return pb.ModelInferRequest(model_name=model, inputs=[data], raw_input_contents=[CUBE.tobytes()])


def _array(answer: pb.ModelInferResponse) -> np.ndarray:
    return np.frombuffer(answer.raw_output_contents[0], np.float32).reshape(answer.outputs[0].shape)


def by_calls(target: str, model: str) -> Iterator[np.ndarray | None]:
    """ModelInfer."""
    with _channel(target) as channel:
        stub: Any = open_inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        while True:
            try:
                yield _array(stub.ModelInfer(_request(model), timeout=30))
            except grpc.RpcError as error:
                assert _is_not_found(error), error
                yield None


def by_a_stream(target: str, model: str) -> Iterator[np.ndarray | None]:
    """ModelStreamInfer, which goes on after an error."""
    with _channel(target) as channel:
        stub: Any = open_inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        for answer in stub.ModelStreamInfer(_request(model) for _ in range(100_000)):
            if answer.error_message:
                assert "not found" in answer.error_message or "no version" in answer.error_message
                assert not answer.infer_response.outputs
                yield None
            else:
                yield _array(answer.infer_response)


def by_frames(target: str, model: str) -> Iterator[np.ndarray | None]:
    """StreamInfer, which ends with its version."""
    with Client(target) as client:
        try:
            with client.model(model).stream([OUTPUT]) as stream:
                while True:
                    stream.send(data=CUBE)
                    yield stream.receive().value()[OUTPUT]
        except NotFoundError:
            yield None
        while True:
            try:
                client.model(model).infer(data=CUBE)
            except NotFoundError:
                yield None
            else:
                yield SCALED


def by_records(target: str, model: str) -> Iterator[np.ndarray | None]:
    """redhare.Inference."""
    shape = {"shape": CUBE.shape, "dtype": "float32"}
    record = json.dumps({"key": 1, "data": base64.b64encode(CUBE.tobytes()).decode(), **shape}).encode()
    with _channel(target) as channel:
        stub: Any = stream_pb2_grpc.InferenceStub(channel)
        token = stub.auth(stream_pb2.AuthRequest(attributes={"model_name": model})).token
        opening = iter([stream_pb2.Request(token=token)])
        requests = (next(opening, stream_pb2.Request(data=record)) for _ in range(100_000))
        try:
            for response in stub.stream_infer(requests):
                answer = json.loads(response.data)
                if "error" in answer:
                    assert answer["error"]["code"] == "NOT_FOUND", answer
                    assert "result" not in answer
                    yield None
                else:
                    found = answer["result"][OUTPUT]
                    yield np.frombuffer(base64.b64decode(found["data"]), found["dtype"]).reshape(found["shape"])
        except grpc.RpcError as error:
            assert _is_not_found(error), error
            yield None


@pytest.fixture
def model(server: ServerProcess) -> Iterator[str]:
    """A model that is published, and called once."""
    name = f"taken-{uuid.uuid4().hex[:8]}"
    with Client(server.target) as client, client.session() as session:
        session.load_pipeline(SCALE)
        client.models.publish(name, session)
        deadline = time.monotonic() + 20
        while True:
            try:
                client.model(name).infer(data=CUBE)
                break
            except NotFoundError:
                assert time.monotonic() < deadline
        yield name


@pytest.mark.parametrize("way", [by_calls, by_a_stream, by_frames, by_records])
def test_a_model_that_is_taken_back_under_load_answers_whole_or_is_not_found(
    server: ServerProcess, model: str, way: Way
) -> None:
    begun: list[bool] = []

    def load(_: int) -> tuple[int, int]:
        whole = gone = 0
        for answer in way(server.target, model):
            if answer is None:
                gone += 1
                if gone == 3 or way is by_records:
                    return whole, gone
                continue
            # Once it is gone it stays gone.
            assert not gone
            np.testing.assert_allclose(answer, SCALED, atol=1e-6)
            whole += 1
            begun.append(True)
        return whole, gone

    with ThreadPoolExecutor(3) as threads, Client(server.target) as client:
        loads = [threads.submit(load, number) for number in range(3)]
        deadline = time.monotonic() + 30
        while len(begun) < 30 and not any(each.done() for each in loads):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        client.models.unpublish(model)
        counts = [each.result(60) for each in loads]
    assert all(whole and gone for whole, gone in counts), counts
    with Client(server.target) as client, pytest.raises(NotFoundError):
        client.model(model).infer(data=CUBE)


def test_a_replica_that_dies_while_it_loads_leaves_the_model_to_the_other_and_has_it_when_it_is_back(
    suite: Suite,
) -> None:
    name = f"loading-{uuid.uuid4().hex[:8]}"
    with Client(suite.target) as client, client.session() as session:
        session.load_pipeline(SCALE)
        client.models.publish(name, session)

        def states() -> list[int]:
            return [each.state for each in client.models.get(name).states]

        def until(wanted: int, replicas: int) -> None:
            deadline = time.monotonic() + 60
            while states().count(wanted) < replicas:
                assert time.monotonic() < deadline, f"states are {states()}, expected {wanted} at {replicas}"
                time.sleep(0.05)

        until(models_pb2.ReplicaState.STATE_KNOWN, 2)
        # Nothing can be read any more, so that loading takes as long as this wants it to.
        os.kill(suite.s3.pid, signal.SIGSTOP)
        try:
            client.models.update(name, pinned=True)
            until(models_pb2.ReplicaState.STATE_LOADING, 2)
            dying = suite.replicas("inference")[0]
            dying.kill()
        finally:
            os.kill(suite.s3.pid, signal.SIGCONT)
        until(models_pb2.ReplicaState.STATE_READY, 1)
        for _ in range(20):
            np.testing.assert_allclose(client.model(name).infer(data=CUBE)[OUTPUT], SCALED, atol=1e-6)
        dying.start()
        # It is not ready before it has loaded what is pinned.
        dying.wait_until(lambda: suite.ready(dying.name))
        assert f'swath_model_ready{{model="{name}",version="1"}} 1.0' in suite.metrics(dying.name)
        suite.wait()
        # What the one that died has said is forgotten later.
        until(models_pb2.ReplicaState.STATE_READY, 2)
        client.models.unpublish(name)
