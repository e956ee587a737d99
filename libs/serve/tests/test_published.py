"""Handles of published models in replicas, against a server that says what it was sent and answers as it is told to."""

from __future__ import annotations

import os
import pickle
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from weakref import WeakKeyDictionary

import grpc
import numpy as np
import pytest
import pytest_asyncio
from google.protobuf.wrappers_pb2 import StringValue

from swath import serve
from swath.inference.v1 import inference_pb2 as pb
from swath.serve.exceptions import (
    BackPressureError,
    ModelError,
    ModelInputError,
    ModelNotFound,
    ModelUnavailable,
    RayServeException,
    RequestCancelledError,
    RequestTimedOut,
)
from swath.serve.published import ModelHandle, connection

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

FLOAT32 = 1
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
CUBE = np.arange(6, dtype=np.float32).reshape(1, 2, 3, 1)


class Inference(grpc.GenericRpcHandler):
    """Streams of frames of models: their names say what becomes of the calls."""

    def __init__(self) -> None:
        self.metadata: list[dict[str, Any]] = []
        self.left: list[float | None] = []
        self.began = threading.Event()
        self.gone = threading.Event()
        self.flaky = 0

    def service(self, handler_call_details: Any) -> Any:
        if handler_call_details.method == "/swath.inference.v1.InferenceService/StreamInfer":
            return grpc.stream_stream_rpc_method_handler(
                self.stream, pb.StreamInferRequest.FromString, pb.StreamInferResponse.SerializeToString
            )
        return None

    def stream(self, requests: Iterator[pb.StreamInferRequest], context: grpc.ServicerContext) -> Iterator[Any]:
        self.metadata.append({each.key: each.value for each in context.invocation_metadata()})  # pyright: ignore
        self.left.append(context.time_remaining())
        opened = next(requests).open
        self.flaky += opened.model == "flaky"
        if opened.model == "flaky" and self.flaky < 3:
            context.abort(grpc.StatusCode.UNAVAILABLE, "draining")
        if opened.model.isupper():
            context.abort(grpc.StatusCode[opened.model], "as it was told to")
        yield pb.StreamInferResponse(opened=pb.Opened(frames_ahead=1, model_version=7))
        frame = next(requests).frame
        if opened.model == "slow":
            context.add_callback(self.gone.set)
            self.began.set()
            self.gone.wait(20)
            return
        (tensor,) = frame.inputs.values()
        values = np.frombuffer(tensor.data, np.float32) * 2
        answer = pb.Tensor(shape=tensor.shape, dtype=tensor.dtype, data=values.tobytes())
        name = opened.outputs[0] if opened.outputs else "twice.values"
        yield pb.StreamInferResponse(result=pb.Result(id=frame.id, outputs={name: answer}, metrics={"mean": 2.5}))


@pytest.fixture(scope="module")
def inference() -> Iterator[Inference]:
    """The server, at the address in SWATH_TARGET."""
    handler = Inference()
    server = grpc.server(ThreadPoolExecutor(20), handlers=[handler], options=[("grpc.so_reuseport", 0)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SWATH_TARGET", f"127.0.0.1:{port}")
        yield handler
    server.stop(0)


@serve.deployment
class Asks:
    def __init__(self, model: ModelHandle) -> None:
        self.model = model

    async def waits(self, cube: Any) -> Any:
        found = await self.model.remote(cube=cube)
        return found.only("values"), found.metrics

    def plain(self, cube: Any, name: str) -> Any:
        return self.model.options(outputs=name).remote(cube=cube).result(timeout_s=10)

    async def Ask(self, request: StringValue) -> StringValue:
        found = await serve.model(request.value).remote(cube=CUBE)
        return StringValue(value=str(found.only("values").sum()))

    async def of(self, name: str, cube: Any) -> Any:
        return await serve.model(name).remote(cube=cube)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def asks(inference: Inference, shared_runtime: Any) -> Any:
    """A deployment that holds a model."""
    return await shared_runtime.run(Asks.bind(serve.model("scene@stable")), "asks")


async def test_a_deployment_calls_a_model_with_arrays(asks: Any, inference: Inference) -> None:
    values, metrics = await asks.waits.remote(CUBE)
    assert np.array_equal(values, 2 * CUBE)
    assert (values.dtype, metrics) == (np.float32, {"mean": 2.5})
    plain = await asks.plain.remote(CUBE, "twice.scores")
    assert list(plain) == ["twice.scores"]
    assert np.array_equal(plain["twice.scores"], 2 * CUBE)


async def test_the_answer_of_a_call_is_an_input(shared_runtime: Any, inference: Inference) -> None:
    @serve.deployment
    class Half:
        def __call__(self, cube: Any) -> Any:
            return cube / 2

    @serve.deployment
    class Chain:
        def __init__(self, half: Any, model: ModelHandle) -> None:
            self.half, self.model = half, model

        async def __call__(self, cube: Any) -> Any:
            # Halved, doubled by the model, and its mapping of outputs handed on.
            return await self.echo(self.model.remote(cube=self.half.remote(cube)))

        async def echo(self, found: Any) -> Any:
            return (await found).only("values")

    chain = await shared_runtime.run(Chain.bind(Half.bind(), serve.model("scene")), "chain")
    assert np.array_equal(await chain.remote(CUBE), CUBE)


async def test_request_id_trace_and_deadline_travel(asks: Any, inference: Inference, shared_runtime: Any) -> None:
    inference.metadata.clear()
    inference.left.clear()
    exchange = await shared_runtime.open(
        "Ask",
        StringValue(value="scene").SerializeToString(),
        application="asks",
        traceparent=TRACE,
        deadline=time.time() + 5,
    )
    assert [StringValue.FromString(each).value async for each in exchange] == ["30.0"]
    (metadata,), (left,) = inference.metadata, inference.left
    assert metadata["request_id"] == exchange._facts.request_id
    assert metadata["traceparent"] == TRACE
    assert metadata["swath-model"] == "scene"
    assert left is not None
    assert 3 < left <= 5


async def test_a_deadline_and_a_client_that_leaves_end_the_call(
    asks: Any, inference: Inference, shared_runtime: Any, until: Callable[..., Any]
) -> None:
    slow = StringValue(value="slow").SerializeToString()
    _, outcome = await shared_runtime.call("Ask", slow, application="asks", deadline=time.time() + 0.3)
    assert outcome.code == grpc.StatusCode.DEADLINE_EXCEEDED.value[0]
    await until(inference.gone.is_set)

    inference.gone.clear()
    inference.began.clear()
    exchange = await shared_runtime.open("Ask", slow, application="asks")
    await until(inference.began.is_set)
    exchange.cancel()
    await until(inference.gone.is_set)


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("NOT_FOUND", ModelNotFound, "model 'NOT_FOUND': as it was told to"),
        ("INVALID_ARGUMENT", ModelInputError, "as it was told to; given were cube: float32[1, 2, 3, 1]"),
        ("RESOURCE_EXHAUSTED", BackPressureError, "as it was told to"),
        ("CANCELLED", RequestCancelledError, "as it was told to"),
        ("DEADLINE_EXCEEDED", RequestTimedOut, "as it was told to"),
        ("PERMISSION_DENIED", ModelError, "as it was told to"),
    ],
)
async def test_what_goes_wrong_is_told_by_its_kind(
    asks: Any, name: str, kind: type[RayServeException], said: str
) -> None:
    with pytest.raises(kind) as raised:
        await asks.of.remote(name, CUBE)
    assert type(raised.value) is kind
    assert said in str(raised.value)


async def test_what_the_wire_has_no_code_for_is_refused_with_what_it_has(asks: Any) -> None:
    with pytest.raises(
        ModelInputError, match=r"no wire code for dtype complex128; convert .* float32, .*given were cube"
    ):
        await asks.of.remote("scene", CUBE.astype(complex))


async def test_a_call_that_a_server_on_its_way_down_refused_is_made_again(asks: Any, inference: Inference) -> None:
    found = await asks.of.remote("flaky", CUBE)
    assert np.array_equal(found.only("values"), 2 * CUBE)
    assert inference.flaky == 3


async def test_a_server_that_stays_away_is_told_within_the_time_of_the_request(asks: Any, shared_runtime: Any) -> None:
    body = StringValue(value="UNAVAILABLE").SerializeToString()
    _, outcome = await shared_runtime.call("Ask", body, application="asks", deadline=time.time() + 0.7)
    assert outcome.code == ModelUnavailable.code
    assert outcome.details.startswith("model 'UNAVAILABLE': as it was told to")


async def test_handles_are_values_and_say_what_is_wrong_with_them() -> None:
    handle = serve.model("scene@3", outputs="scores", target="10.0.0.1:50051")
    assert (
        pickle.loads(pickle.dumps(handle))
        == handle
        == serve.model("scene@3", outputs=("scores",), target="10.0.0.1:50051")
    )
    assert {handle, handle.options(version=4)} == {
        handle,
        serve.model("scene@4", outputs="scores", target="10.0.0.1:50051"),
    }
    assert repr(handle) == "ModelHandle('scene', version='3')"
    for wrong in ("", "a b", "scene@", "@stable", "../x", None):
        with pytest.raises(ValueError, match="expected NAME, NAME@ALIAS or NAME@VERSION of a published model, got"):
            serve.model(wrong)  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match=r"inputs of a model have names: scene.remote\(cube=...\), got 1 without one"):
        handle.remote(CUBE)


async def test_a_suite_that_nobody_names_or_that_is_not_there(
    shared_runtime: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shared_runtime
    monkeypatch.delenv("SWATH_TARGET", raising=False)
    with pytest.raises(
        ModelError, match="model 'scene': it is not known which suite has it: expected HOST:PORT in SWATH_T"
    ):
        await serve.model("scene").remote(cube=CUBE)
    monkeypatch.setenv("SWATH_TLS_CERT", "/none.crt")
    with pytest.raises(ModelError, match="SWATH_TLS_CERT and SWATH_TLS_KEY: mutual TLS needs both files"):
        await serve.model("scene", target="10.0.0.1:1").remote(cube=CUBE)
    monkeypatch.delenv("SWATH_TLS_CERT")
    with pytest.raises(ModelError, match="the suite at ::1 cannot be called"):
        await serve.model("scene", target="::1").remote(cube=CUBE)


async def test_what_the_host_tells_of_its_suite_goes_together(
    shared_runtime: Any, inference: Inference, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shared_runtime
    monkeypatch.setitem(connection.told, "SWATH_TARGET", os.environ["SWATH_TARGET"])
    monkeypatch.setitem(connection.told, "SWATH_TOKEN", "of-applications")
    monkeypatch.setattr(connection, "_channels", WeakKeyDictionary())
    await serve.model("scene").remote(cube=CUBE)
    # The environment names a suite: it gets no token of another one.
    assert "authorization" not in inference.metadata[-1]
    monkeypatch.delenv("SWATH_TARGET")
    monkeypatch.setattr(connection, "_channels", WeakKeyDictionary())
    await serve.model("scene").remote(cube=CUBE)
    assert inference.metadata[-1]["authorization"] == "Bearer of-applications"
