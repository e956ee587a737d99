"""Quotas of identities, from the settings to what their clients are told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from swath.client import Client, ClientConfig, ExhaustedError, Session, TlsConfig
from swath.runtime.auth.certificates import Authority
from swath_standalone.process import ServerProcess

SCENE = Path(__file__).resolve().parents[3] / "examples" / "data" / "san_diego.npz"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certs"))


@pytest.fixture(scope="module")
def server(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server on which an identity may have two sessions, one run and four megabytes."""
    own = authority.issue_service("standalone")
    settings = {
        "SWATH_TLS_CERT": str(own / "tls.crt"),
        "SWATH_TLS_KEY": str(own / "tls.key"),
        "SWATH_TLS_CA": str(own / "ca.crt"),
        "SWATH_AUTH": "required",
        "SWATH_QUOTA_SESSIONS": "2",
        "SWATH_QUOTA_BYTES": "4000000",
        "SWATH_TRAINING_QUOTA_RUNS": "1",
    }
    process = ServerProcess(tmp_path_factory.mktemp("state"), environment=settings)
    process.start(wait_for=None)
    yield process
    process.stop()


@pytest.fixture(scope="module")
def clients(server: ServerProcess, authority: Authority) -> Iterator[dict[str, Client]]:
    made = {}
    for name in ("alice", "bob"):
        folder = authority.issue_user(name)
        tls = TlsConfig(root=folder / "ca.crt", cert=folder / "tls.crt", key=folder / "tls.key")
        made[name] = Client(ClientConfig(target=server.target, tls=tls, health_service=None))
        made[name].ready(60.0)
    yield made
    for client in made.values():
        client.close()


def test_sessions(clients: dict[str, Client]) -> None:
    alice, bob = clients["alice"], clients["bob"]
    with alice.session(), alice.session():
        with pytest.raises(ExhaustedError, match="alice has 2 of 2 open sessions: close one") as refused:
            alice.open_session()
        assert (refused.value.reason, refused.value.metadata["limit"]) == ("SESSION_QUOTA", "2")
        bob.open_session().close()
    alice.open_session().close()


def test_bytes(clients: dict[str, Client]) -> None:
    alice, bob = clients["alice"], clients["bob"]
    alice.workspace.put(bytes(3_000_000), "alice/a")
    with pytest.raises(ExhaustedError, match="alice has 3000000 of 4000000 bytes") as refused:
        alice.workspace.put(bytes(2_000_000), "alice/b")
    assert refused.value.reason == "WORKSPACE_QUOTA"
    bob.workspace.put(bytes(2_000_000), "bob/b")
    alice.workspace.delete("alice", recursive=True)
    bob.workspace.delete("bob", recursive=True)
    alice.workspace.put(bytes(2_000_000), "alice/b")
    alice.workspace.delete("alice", recursive=True)


def test_runs(clients: dict[str, Client], server: ServerProcess) -> None:
    alice, bob = clients["alice"], clients["bob"]
    alice.workspace.put(str(SCENE), "data/san_diego.npz")

    def configured(client: Client, *overrides: str) -> Session:
        session = client.open_session()
        trainrun = "trainrun/san_diego_deep_svdd" if overrides else "trainrun/san_diego_rx"
        session.set_run_config(session.resolve("trainrun", trainrun, overrides))
        return session

    long, short, others = configured(alice, "training.max_epochs=10000"), configured(alice), configured(bob)
    list(long.train("statistical"))
    following = iter(long.train("gradient"))
    next(following)
    with pytest.raises(ExhaustedError, match="alice has 1 of 1 runs queued or under way: wait") as refused:
        list(short.train("statistical"))
    assert refused.value.reason == "RUN_QUOTA"
    # Bob's waits for the device, and is told so.
    waiting = iter(others.train("statistical"))
    next(waiting)
    long.stop()
    list(following)
    list(waiting)
    list(short.train("statistical"))
    for session in (long, short, others):
        session.close()
