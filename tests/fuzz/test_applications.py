"""Whatever is sent to the front of applications, it answers: in words that are its client's to understand."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest
from grpc_tools import protoc
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from swath import serve
from swath.serve.config import gRPCOptions

from .messages import mutated
from .test_methods import EXAMPLES, PATIENCE_S

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "applications"
SERVICE = "/userdefinedprotos.UserDefinedService"
REFUSALS = {
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.UNIMPLEMENTED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}
KEYS = ("application", "request_id", "multiplexed_model_id", "session_id", "traceparent", "tracestate", "x-own")

_text = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40)
_pairs = st.tuples(st.sampled_from(KEYS), _text | st.sampled_from(["app1", "app2", "App1", "x" * 5000]))
_binary = st.tuples(st.just("x-own-bin"), st.binary(max_size=40))
_metadata = st.lists(_pairs | _binary, max_size=6)
_valid = st.builds(lambda name, number: (name, number), st.text(max_size=20), st.integers(-(2**63), 2**63 - 1))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """The greeting example in replicas, twice."""
    folder = tmp_path_factory.mktemp("applications")
    shutil.copy(EXAMPLE / "greeting.py", folder)
    out = [f"--python_out={folder}", f"--grpc_python_out={folder}"]
    assert protoc.main(["protoc", f"-I{EXAMPLE}", *out, "user_defined_protos.proto"]) == 0
    sys.path.insert(0, str(folder))
    functions = ("user_defined_protos_pb2_grpc.add_UserDefinedServiceServicer_to_server",)
    serve.start(grpc_options=gRPCOptions(port=0, grpc_servicer_functions=functions, access_log=False))
    for name in ("app1", "app2"):
        serve.run(importlib.import_module("greeting").g, name=name, route_prefix=None)
    address = serve.address()
    assert address is not None
    with grpc.insecure_channel(address) as channel:
        yield SimpleNamespace(channel=channel, pb=importlib.import_module("user_defined_protos_pb2"))
    serve.shutdown()
    sys.path.remove(str(folder))


def _ask(channel: grpc.Channel, path: str, body: bytes, metadata: list[Any]) -> tuple[bytes | None, Any]:
    call = channel.unary_unary(path)
    try:
        answer, ended = call.with_call(body, metadata=tuple(metadata), timeout=PATIENCE_S)
    except grpc.RpcError as error:
        return None, error
    return answer, ended


@settings(
    max_examples=EXAMPLES * 4,
    deadline=None,
    database=None,
    derandomize="SWATH_FUZZ_EXAMPLES" not in os.environ,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=(HealthCheck.too_slow, HealthCheck.function_scoped_fixture),
)
@given(data=st.data())
def test_the_front_answers_whatever_it_is_asked(served: SimpleNamespace, data: st.DataObject) -> None:
    name, number = data.draw(_valid)
    whole = served.pb.UserDefinedMessage(name=name, num=number % 2**62).SerializeToString()
    body = data.draw(st.just(whole) | mutated(st.just(whole)) | st.binary(max_size=60))
    metadata = data.draw(_metadata)
    method = data.draw(st.sampled_from(["__call__", "__call__", "Nothing", "../x", ""]))
    answer, ended = _ask(served.channel, f"{SERVICE}/{method}", body, metadata)
    said = dict(metadata)
    trailers = ended.trailing_metadata()
    own = [key for key, _ in trailers if not key.startswith("grpc-")]
    assert own[0] == "request_id"
    sent = str(said.get("request_id", "")).strip()
    if answer is None:
        # The example's own failure: twice the number is no int64.
        beyond = ended.code() is grpc.StatusCode.INTERNAL and ended.details().startswith("ValueError: ")
        assert beyond or ended.code() in REFUSALS, ended.details()
    else:
        assert method == "__call__"
        assert said["application"].strip() in ("app1", "app2")
        assert served.pb.UserDefinedResponse.FromString(answer).greeting.startswith("Hello ")
        assert not sent or dict(trailers)["request_id"].strip() == sent
