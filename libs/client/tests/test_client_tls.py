"""Mutual TLS and tokens, against a server that asks for both."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest

from swath.client import Client, ClientConfig, RetryConfig, TlsConfig, UnauthenticatedError, UnavailableError
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.cuvis_ai.v1 import cuvis_ai_pb2_grpc as pb_grpc

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make certificates")


class Guarded(pb_grpc.CuvisAIServiceServicer):
    """Asks for a token."""

    def GetTrainStatus(self, request: Any, context: grpc.ServicerContext) -> pb.GetTrainStatusResponse:
        if ("authorization", "Bearer sesame") not in context.invocation_metadata():
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "no token")
        return pb.GetTrainStatusResponse()


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> TlsConfig:
    """A certificate for localhost that is its own authority, and serves both sides."""
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    make = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=localhost"
    extra = ["-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(cert)]
    subprocess.run([*make.split(), *extra], check=True, capture_output=True)
    return TlsConfig(root=cert, cert=cert, key=key)


@pytest.fixture(scope="module")
def target(tls: TlsConfig) -> Iterator[str]:
    assert tls.root is not None
    assert tls.key is not None
    pem = tls.root.read_bytes()
    pair = (tls.key.read_bytes(), pem)
    server = grpc.server(ThreadPoolExecutor(2))
    pb_grpc.add_CuvisAIServiceServicer_to_server(Guarded(), server)
    port = server.add_secure_port("localhost:0", grpc.ssl_server_credentials([pair], pem, True))
    server.start()
    yield f"localhost:{port}"
    server.stop(None).wait()


def test_mutual_tls_with_a_token(target: str, tls: TlsConfig) -> None:
    with Client(ClientConfig(target=target, tls=tls, token="sesame")) as client:
        client.attach("s1").status()


def test_missing_token_is_said(target: str, tls: TlsConfig) -> None:
    with Client(ClientConfig(target=target, tls=tls)) as client, pytest.raises(UnauthenticatedError, match="no token"):
        client.attach("s1").status()


def test_no_certificate_no_connection(target: str, tls: TlsConfig) -> None:
    config = ClientConfig(target=target, tls=TlsConfig(root=tls.root), retry=RetryConfig(attempts=1))
    with Client(config) as client, pytest.raises(UnavailableError):
        client.attach("s1").status()


def test_missing_certificate_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nowhere\.pem"):
        Client(ClientConfig(tls=TlsConfig(root=tmp_path / "nowhere.pem")))
