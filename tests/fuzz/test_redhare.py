"""Whatever comes on a stream of redhare.Inference, each record gets an answer that is its client's to understand."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from swath.client import Client
from swath.models.v1 import models_pb2, models_pb2_grpc
from swath.redhare import stream_pb2 as pb
from swath.redhare import stream_pb2_grpc
from swath.rpc.proxies import NO_PROXY
from swath_standalone.process import ServerProcess

from .complaints import FAULTS, complaint_of_status
from .good import LABELS, SCALE
from .messages import mutated
from .test_methods import EXAMPLES, PATIENCE_S


@pytest.fixture(scope="module")
def channel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[grpc.Channel]:
    """To a server with the published model "scale"; its log is looked at in the end."""
    with ServerProcess(tmp_path_factory.mktemp("fuzz") / "state") as server:
        with Client(server.target) as client, client.session() as session:
            session.load_pipeline(SCALE)
            with grpc.insecure_channel(server.target, options=[NO_PROXY]) as channel:
                publish = models_pb2.PublishRequest(name="scale", session_id=session.id, labels=LABELS)
                models_pb2_grpc.ModelServiceStub(channel).Publish(publish)
                yield channel
        assert "Traceback" not in server.log.read_text(), "an exception that nobody expected is in the server's log"


@pytest.fixture(scope="module")
def stub(channel: grpc.Channel) -> Any:
    return stream_pb2_grpc.InferenceStub(channel)


@pytest.fixture(scope="module")
def token(stub: Any) -> str:
    # Within a second every replica knows what is published.
    for _ in range(100):
        try:
            return stub.auth(pb.AuthRequest(attributes={"model_name": "scale"})).token
        except grpc.RpcError as error:
            assert error.code() is grpc.StatusCode.NOT_FOUND  # pyright: ignore[reportAttributeAccessIssue]
            time.sleep(0.1)
    pytest.fail("the model was not known within ten seconds")


_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)
_bytes = st.binary(max_size=48) | st.sampled_from(
    [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"PK\x03\x04", b"\x93NUMPY\x01\x00"]
).flatmap(lambda magic: st.binary(max_size=64).map(lambda rest: magic + rest))
_data = _bytes.map(lambda data: base64.b64encode(data).decode()) | _values
_shapes = st.lists(st.sampled_from([-1, 0, 1, 2, 3, 2**31, 2**61]) | st.integers(), max_size=6) | _values
_dtypes = st.sampled_from(["float32", "uint8", "uint16", "int64", "bool", "bfloat16", "object", "<f4"]) | _values
_formats = st.sampled_from(["raw", "npy", "npz", "png", "jpeg", "tiff"]) | _values
_tensors = st.fixed_dictionaries({}, optional={"data": _data, "shape": _shapes, "dtype": _dtypes, "format": _formats})
_records = st.fixed_dictionaries(
    {"key": st.text(max_size=8) | st.integers() | _values},
    optional={
        "data": _data,
        "shape": _shapes,
        "dtype": _dtypes,
        "format": _formats,
        "input": st.just("data") | _values,
        "inputs": st.dictionaries(st.just("data") | st.text(max_size=8), _tensors | _values, max_size=2) | _values,
        "outputs": st.lists(st.sampled_from(["normalized", "nothing"]), max_size=2) | _values,
    },
)
_written = _records.map(lambda record: json.dumps(record).encode())


def _settings(times: int) -> settings:
    return settings(
        max_examples=EXAMPLES * times,
        deadline=None,
        database=None,
        derandomize="SWATH_FUZZ_EXAMPLES" not in os.environ,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large),
    )


@given(records=st.lists(_written | mutated(_written) | st.binary(max_size=64), min_size=1, max_size=6))
@_settings(10)
@pytest.mark.timeout(3600)
def test_each_record_gets_an_answer(stub: Any, token: str, records: list[bytes]) -> None:
    good = json.dumps({"key": "good", "data": base64.b64encode(bytes(range(12))).decode()}).encode()
    messages = [pb.Request(token=token), *(pb.Request(data=each) for each in (*records, good))]
    answers = [json.loads(each.data) for each in stub.stream_infer(iter(messages), timeout=PATIENCE_S)]
    assert len(answers) == len(records) + 1
    assert answers[-1]["key"] == "good"
    assert answers[-1]["result"]["scale.normalized"]["shape"] == [1, 2, 2, 3]
    for answer in answers[:-1]:
        if "error" in answer:
            assert not complaint_of_status(answer["error"]["code"], answer["error"]["message"]), answer


_messages = st.lists(st.tuples(st.booleans(), st.binary(max_size=48)), max_size=4)


@given(damaged=_messages, first=st.booleans())
@_settings(4)
def test_bytes_that_are_no_messages_end_a_stream_in_words(
    channel: grpc.Channel, token: str, damaged: list[tuple[bool, bytes]], first: bool
) -> None:
    opening = [pb.Request(token=token).SerializeToString()] if first else []
    rest = [pb.Request(data=data).SerializeToString() if whole else data for whole, data in damaged]
    try:
        for _ in channel.stream_stream("/redhare.Inference/stream_infer")(iter([*opening, *rest]), timeout=PATIENCE_S):
            pass
    except grpc.RpcError as error:
        assert error.code() not in FAULTS, error  # pyright: ignore[reportAttributeAccessIssue]


@given(
    attributes=st.dictionaries(
        st.sampled_from(["model_name", "user_name", "password", "token", "other"]), st.text(max_size=40), max_size=5
    )
)
@_settings(4)
def test_auth_refuses_in_words(stub: Any, attributes: dict[str, str]) -> None:
    try:
        stub.auth(pb.AuthRequest(attributes=attributes), timeout=PATIENCE_S)
    except grpc.RpcError as error:
        assert error.code() not in FAULTS, error  # pyright: ignore[reportAttributeAccessIssue]
