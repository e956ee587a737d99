"""Whatever arrives, a method answers: in words that are the client's to understand, and in time.

`make fuzz` tries many times as much. What it finds is fixed, and the case goes to the tests of the part that was wrong.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import grpc
import pytest
from google.protobuf import descriptor_pool, message_factory
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from swath.api import ROUTES
from swath.client import Client
from swath_standalone.process import ServerProcess

from .messages import messages, mutated

EXAMPLES = int(os.environ.get("SWATH_FUZZ_EXAMPLES", "12"))
PATIENCE_S = 20.0

# What a method may never answer, whatever is asked: each is a fault of the server.
_FAULTS = {
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.DATA_LOSS,
    grpc.StatusCode.DEADLINE_EXCEEDED,
}


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server for this; its log is looked at in the end."""
    with ServerProcess(tmp_path_factory.mktemp("fuzz") / "state") as server:
        yield server
        assert "Traceback" not in server.log.read_text(), "an exception that nobody expected is in the server's log"


@pytest.fixture(scope="module")
def channel(fuzzed: ServerProcess) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(fuzzed.target) as channel:
        yield channel


@pytest.fixture(scope="module")
def session_ids(fuzzed: ServerProcess) -> list[str]:
    """A session with nothing, and one with a pipeline and a configuration."""
    client = Client(fuzzed.target)
    empty, loaded = client.open_session(), client.open_session()
    loaded.set_run_config(loaded.resolve("trainrun", "trainrun/san_diego_rx"))
    return [empty.id, loaded.id]


@pytest.mark.parametrize("path", sorted(ROUTES), ids=lambda path: path.rpartition("/")[2])
@pytest.mark.timeout(600)
def test_a_method_answers_whatever_it_is_asked(
    path: str, channel: grpc.Channel, session_ids: list[str], fuzzed: ServerProcess
) -> None:
    service, name = path[1:].split("/")
    method = descriptor_pool.Default().FindServiceByName(service).methods_by_name[name]
    valid = messages(message_factory.GetMessageClass(method.input_type), session_ids).map(
        lambda message: message.SerializePartialToString()
    )
    makers = {
        (False, False): channel.unary_unary,
        (False, True): channel.unary_stream,
        (True, False): channel.stream_unary,
        (True, True): channel.stream_stream,
    }
    call = makers[method.client_streaming, method.server_streaming](path)

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize="SWATH_FUZZ_EXAMPLES" not in os.environ,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=(HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture),
    )
    @given(valid | mutated(valid) | st.binary(max_size=64))
    def ask(request: bytes) -> None:
        try:
            answer = call(iter([request]) if method.client_streaming else request, timeout=PATIENCE_S)
            if method.server_streaming:
                for _ in answer:
                    pass
        except grpc.RpcError as error:
            code, words = error.code(), error.details() or ""
            assert code not in _FAULTS, f"{path} answered {code.name}: {words}"
            assert "Traceback" not in words
            assert "/site-packages/" not in words

    ask()
    assert fuzzed.pid
