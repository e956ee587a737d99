"""redhare.Inference through the gateway: what it tells, whom it asks, and at which replica."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Iterator

import grpc
import numpy as np
import pytest

from swath.client import Client
from swath.models.v1 import models_pb2, models_pb2_grpc
from swath.redhare import stream_pb2 as pb
from swath.redhare import stream_pb2_grpc
from swath_suite.suite import Suite
from swath_suite.testing.identities import Identities

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
CUBE = np.random.default_rng(2).random((1, 4, 5, 3), np.float32)
RECORD = {"key": "a", "data": base64.b64encode(CUBE.tobytes()).decode(), "shape": [1, 4, 5, 3]}


def _publish(suite: Suite, name: str, token: str | None = None, callers: tuple[str, ...] = ()) -> np.ndarray:
    """Publish a model; return what a session with its pipeline makes of the cube."""
    with Client(suite.config(token)) as client, client.session() as session:
        session.load_pipeline(SCALE)
        with suite.channel() as channel:
            request = models_pb2.PublishRequest(
                name=name, session_id=session.id, callers=models_pb2.Identities(names=callers)
            )
            models_pb2_grpc.ModelServiceStub(channel).Publish(request, metadata=client.config.call_metadata())
        return session.infer(data=CUBE).only("normalized")


def _auth(channel: grpc.Channel, **attributes: str) -> pb.AuthResponse:
    """Call auth; within a second of its publication every replica knows a model."""
    stub = stream_pb2_grpc.InferenceStub(channel)
    deadline = time.monotonic() + 20
    while True:
        try:
            return stub.auth(pb.AuthRequest(attributes=attributes), timeout=20)
        except grpc.RpcError as error:
            code = error.code()  # pyright: ignore[reportAttributeAccessIssue]
            if code is not grpc.StatusCode.NOT_FOUND or time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def _answer(channel: grpc.Channel, token: str) -> dict:
    messages = [pb.Request(token=token), pb.Request(data=json.dumps(RECORD).encode())]
    (answer,) = stream_pb2_grpc.InferenceStub(channel).stream_infer(iter(messages), timeout=60)
    return json.loads(answer.data)


def _streams(suite: Suite, replica: str) -> float:
    lines = suite.metrics(replica).splitlines()
    counted = [
        each for each in lines if 'grpc_method="stream_infer"' in each and each.startswith("grpc_server_handled_t")
    ]
    return sum(float(re.sub(r".* ", "", each)) for each in counted if 'grpc_code="OK"' in each)


@pytest.fixture
def channel(suite: Suite) -> Iterator[grpc.Channel]:
    with suite.channel() as channel:
        yield channel


def test_a_token_holds_at_any_replica_and_its_stream_at_the_address_that_was_called(suite, channel) -> None:
    expected = _publish(suite, "redhare-any")
    answer = _auth(channel, model_name="redhare-any")
    assert answer.url == suite.target
    before = {name: _streams(suite, name) for name in ("inference-0", "inference-1")}
    for _ in range(24):
        with suite.channel() as own:
            output = _answer(own, answer.token)["result"]["scale.normalized"]
            found = np.frombuffer(base64.b64decode(output["data"]), output["dtype"]).reshape(output["shape"])
            np.testing.assert_array_equal(found, expected)
    assert all(_streams(suite, name) > count for name, count in before.items())


def test_users_need_no_bearer_token_and_nothing_but_their_password(public_suite: Suite, identities: Identities) -> None:
    expected = _publish(public_suite, "redhare-hers", identities.tokens["alice"], callers=("alice",))
    with public_suite.channel() as channel:
        named = {"model_name": "redhare-hers", "user_name": "alice"}
        answer = _auth(channel, **named, password=identities.passwords["alice"])
        assert answer.url == public_suite.target
        output = _answer(channel, answer.token)["result"]["scale.normalized"]
        assert base64.b64decode(output["data"]) == expected.tobytes()
        stub = stream_pb2_grpc.InferenceStub(channel)
        refused = {
            "UNAUTHENTICATED": {**named, "password": identities.passwords["bob"]},
            "NOT_FOUND": {**named, "user_name": "bob", "password": identities.passwords["bob"]},
        }
        for code, attributes in refused.items():
            with pytest.raises(grpc.RpcError) as caught:
                stub.auth(pb.AuthRequest(attributes=attributes), timeout=20)
            assert caught.value.code().name == code  # pyright: ignore[reportAttributeAccessIssue]
