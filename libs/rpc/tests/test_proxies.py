"""Which calls go through a proxy of the environment, and that an error tells of it."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from swath.client import Client, ClientConfig, RetryConfig, UnavailableError
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.cuvis_ai.v1 import cuvis_ai_pb2_grpc
from swath.rpc.channels import channel
from swath.rpc.proxies import is_local, proxy_of
from swath.runtime.settings import ConnectionSettings


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Has the environment name a proxy that refuses; gives what it was asked for."""
    asked: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def refuse() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    asked.append(connection.recv(4096).decode().partition("\r\n")[0])
                    connection.sendall(b"HTTP/1.1 403 Forbidden\r\n\r\n")

        thread = threading.Thread(target=refuse, daemon=True)
        thread.start()
        for name in ("grpc_proxy", "http_proxy", "no_proxy", "no_grpc_proxy"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("https_proxy", f"http://user:secret@127.0.0.1:{listening.getsockname()[1]}")
        yield asked
        listening.shutdown(socket.SHUT_RDWR)
    thread.join()


class _Inference:
    async def Inference(self, request: Any, context: Any) -> pb.InferenceResponse:
        return pb.InferenceResponse()

    async def SetProfiling(self, request: Any, context: Any) -> None: ...

    async def GetProfilingSummary(self, request: Any, context: Any) -> None: ...


async def test_services_ask_one_another_without_a_proxy(serve: Callable[..., Any], proxy: list[str]) -> None:
    part = await serve({"inference": _Inference()})
    made = channel(f"127.0.0.1:{part.server.port}", "inference", ConnectionSettings(), check_health=False)
    await cuvis_ai_pb2_grpc.CuvisAIServiceStub(made).Inference(pb.InferenceRequest(), timeout=10)
    await made.close()
    assert proxy == []


def test_a_client_reaches_its_own_machine_without_a_proxy(proxy: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        target = f"127.0.0.1:{nobody.getsockname()[1]}"
    with (
        Client(ClientConfig(target=target, health_service=None, retry=RetryConfig(attempts=1))) as client,
        pytest.raises(UnavailableError) as refused,
    ):
        client.open_session()
    assert "proxy" not in refused.value.message
    assert proxy == []


def test_an_error_says_that_a_proxy_was_used_and_what_names_it(proxy: list[str]) -> None:
    config = ClientConfig(target="192.0.2.1:50051", health_service=None, retry=RetryConfig(attempts=1), timeout_s=10)
    with Client(config) as client, pytest.raises(UnavailableError, match="through the proxy") as refused:
        client.open_session()
    assert "which the variable https_proxy names" in refused.value.message
    assert "secret" not in refused.value.message
    assert proxy[0] == "CONNECT 192.0.2.1:50051 HTTP/1.1"


@pytest.mark.parametrize(
    ("target", "environ", "variable"),
    [
        ("swath.example:1", {"https_proxy": "http://a:1", "http_proxy": "http://b:1"}, "https_proxy"),
        ("dns:///swath.example:1", {"grpc_proxy": "http://a:1", "https_proxy": "http://b:1"}, "grpc_proxy"),
        ("swath.example:1", {"https_proxy": "http://a:1", "no_proxy": "other,.example"}, None),
        ("10.1.2.3:1", {"https_proxy": "http://a:1", "no_proxy": "10.0.0.0/8"}, None),
        ("swath.example:1", {"https_proxy": "http://a:1", "no_proxy": "swath", "no_grpc_proxy": "example"}, None),
        ("unix:/a", {"https_proxy": "http://a:1"}, None),
        ("swath.example:1", {}, None),
    ],
)
def test_the_rules_are_those_of_grpc(target: str, environ: dict[str, str], variable: str | None) -> None:
    found = proxy_of(target, environ)
    assert (found.variable if found else None) == variable


@pytest.mark.parametrize(("target", "local"), [("localhost:1", True), ("dns:///[::1]:1", True), ("a.example:1", False)])
def test_what_is_on_this_machine(target: str, local: bool) -> None:
    assert is_local(target) is local
