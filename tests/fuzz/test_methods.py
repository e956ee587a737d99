"""Whatever arrives, a method answers: in words that are the client's to understand, and in time.

`make fuzz` tries many times as much. What it finds is fixed, and the case goes to the tests of the part that was wrong.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import cache

import grpc
import pytest
from google.protobuf import message_factory
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from swath.api import ROUTES
from swath.api.descriptors import find_service
from swath.client import Client
from swath.models.v1 import models_pb2, models_pb2_grpc
from swath_standalone.process import ServerProcess
from swath_suite.suite import Suite

from .complaints import complaint_of_status
from .messages import messages, mutated

EXAMPLES = int(os.environ.get("SWATH_FUZZ_EXAMPLES", "12"))
PATIENCE_S = 20.0


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server for this; its log is looked at in the end."""
    with ServerProcess(tmp_path_factory.mktemp("fuzz") / "state") as server:
        yield server
        assert "Traceback" not in server.log.read_text(), "an exception that nobody expected is in the server's log"


@pytest.mark.parametrize("path", sorted(ROUTES), ids=lambda path: path.rpartition("/")[2])
@pytest.mark.timeout(600)
def test_a_method_answers_whatever_it_is_asked(path: str, fuzzed: ServerProcess) -> None:
    _ask(path, fuzzed.target, EXAMPLES)
    assert fuzzed.pid


@pytest.mark.parametrize("path", sorted(ROUTES), ids=lambda path: path.rpartition("/")[2])
def test_a_method_answers_through_the_gateway_as_well(path: str, suite: Suite) -> None:
    _ask(path, suite.target, EXAMPLES // 3)
    assert all(each.alive for each in suite.processes.values())


@cache
def _sessions(target: str) -> tuple[str, ...]:
    """A session with nothing, and one with a pipeline and a configuration. A model is published beside them."""
    client = Client(target)
    empty, loaded = client.open_session(), client.open_session()
    loaded.set_run_config(loaded.resolve("trainrun", "trainrun/san_diego_rx"))
    with client.session() as served, grpc.insecure_channel(target) as channel:
        # Under a name that messages have often.
        served.load_pipeline(served.resolve("pipeline", "pipeline/spectral_match/spectral_match"))
        models = models_pb2_grpc.ModelServiceStub(channel)
        models.Publish(models_pb2.PublishRequest(name="pipeline", session_id=served.id), timeout=PATIENCE_S)
    return empty.id, loaded.id


def _ask(path: str, target: str, examples: int) -> None:
    """Call a method with messages of its type, with damaged ones and with mere bytes."""
    service, name = path[1:].split("/")
    method = find_service(service).methods_by_name[name]
    request_type = message_factory.GetMessageClass(method.input_type)
    valid = messages(request_type, _sessions(target)).map(lambda message: message.SerializePartialToString())

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize="SWATH_FUZZ_EXAMPLES" not in os.environ,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large),
    )
    @given(valid | mutated(valid) | st.binary(max_size=64))
    def ask(request: bytes) -> None:
        try:
            answer = call(iter([request]) if method.client_streaming else request, timeout=PATIENCE_S)
            if method.server_streaming:
                for _ in answer:
                    pass
        except grpc.RpcError as error:
            complaint = complaint_of_status(error.code().name, error.details() or "")  # pyright: ignore[reportAttributeAccessIssue]
            assert not complaint, f"{path} answered {complaint}"

    with grpc.insecure_channel(target) as channel:
        makers = {
            (False, False): channel.unary_unary,
            (False, True): channel.unary_stream,
            (True, False): channel.stream_unary,
            (True, True): channel.stream_stream,
        }
        call = makers[method.client_streaming, method.server_streaming](path)
        ask()
