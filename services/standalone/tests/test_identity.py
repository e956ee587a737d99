"""The standalone server with TLS and callers who say who they are."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from swath.client import Client, ClientConfig, NotFoundError, TlsConfig, UnauthenticatedError, UnavailableError
from swath.runtime.auth.certificates import Authority
from swath.runtime.auth.tokens import hash_of
from swath_standalone.process import ServerProcess

BOB = "swath_bobs-token"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certs"))


@pytest.fixture(scope="module")
def server(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    own = authority.issue_service("standalone")
    settings = {
        "SWATH_TLS_CERT": str(own / "tls.crt"),
        "SWATH_TLS_KEY": str(own / "tls.key"),
        "SWATH_TLS_CA": str(own / "ca.crt"),
        "SWATH_AUTH": "required",
        "SWATH_TOKENS": f'{{"bob": "{hash_of(BOB)}"}}',
    }
    process = ServerProcess(tmp_path_factory.mktemp("state"), environment=settings)
    process.start(wait_for=None)
    yield process
    process.stop()


def _as(server: ServerProcess, folder: Path, token: str | None = None) -> ClientConfig:
    tls = TlsConfig(root=folder / "ca.crt", cert=folder / "tls.crt", key=folder / "tls.key")
    return ClientConfig(target=server.target, tls=tls, token=token, health_service=None)


def test_sessions_and_runs_of_another_are_as_if_there_were_none(server: ServerProcess, authority: Authority) -> None:
    worker = authority.issue_service("worker")
    with Client(_as(server, authority.issue_user("alice"))) as alice, Client(_as(server, worker, BOB)) as bob:
        with alice.session() as session:
            session.status()
            calls = {
                "status": lambda of: of.status(),
                "stop": lambda of: of.stop(),
                "search": lambda of: of.search(None),
                "resolve": lambda of: of.resolve("trainrun", "trainrun/san_diego_rx"),
                "inputs": lambda of: of.inputs(),
                "infer": lambda of: of.infer(),
                "train": lambda of: list(of.train("statistical")),
                "close": lambda of: of.close(),
            }
            for call in calls.values():
                with pytest.raises(NotFoundError) as others:
                    call(bob.attach(session.id))
                with pytest.raises(NotFoundError) as nobodys:
                    call(bob.attach("nobodys"))
                assert others.value.message.replace(session.id, "nobodys") == nobodys.value.message
            session.status()
        with bob.session() as session:
            session.status()


def test_who_says_nothing_is_told_what_is_expected(server: ServerProcess, authority: Authority) -> None:
    expected = pytest.raises(UnauthenticatedError, match="authorization: Bearer TOKEN")
    with Client(_as(server, authority.issue_service("worker"))) as client, expected:
        client.open_session()


def test_a_stranger_gets_no_connection(server: ServerProcess, authority: Authority, tmp_path: Path) -> None:
    with Client(_as(server, Authority(tmp_path).issue_user("alice"))) as client, pytest.raises(UnavailableError):
        client.open_session()


def test_a_server_for_all_the_world_says_what_it_needs(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "swath_standalone", "--host", "0.0.0.0", "--port", "0", "--state", str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 2
    assert "callers must say who they are on 0.0.0.0" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_what_only_some_need_is_not_imported_by_all() -> None:
    heavy = ("jwt", "cryptography", "torch", "alembic", "asyncpg", "opentelemetry.sdk", "prometheus_client")
    code = f"import sys, swath_standalone.app; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"
