"""Published models of a suite: whose they are, and how all replicas hear of a change."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest

from swath.client import Client, NotFoundError, PermissionDeniedError, Session
from swath.models.v1 import catalogue_pb2
from swath.models.v1.catalogue_pb2_grpc import ModelCatalogueStub
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
WATCH = "/swath.models.v1.ModelCatalogue/WatchModels"


def _pipeline(number: int = 0) -> dict[str, Any]:
    """A pipeline that needs no weights; each number has another digest."""
    return {**SCALE, "metadata": {"name": f"Scale {number}"}}


@pytest.fixture
def scaling(client: Client) -> Iterator[Session]:
    with client.session() as session:
        session.load_pipeline(_pipeline())
        yield session


def _inside(suite: Suite, who: str, replica: str) -> grpc.Channel:
    """A channel to a replica itself, past the gateway, by a service's certificate."""
    folder: Path = suite.layout.folder / "certs" / who
    files = ((folder / name).read_bytes() for name in ("tls.key", "tls.crt"))
    credentials = grpc.ssl_channel_credentials(suite.certificates.ca.read_bytes(), *files)
    options = [("grpc.ssl_target_name_override", "pipeline.swath")]
    return grpc.secure_channel(f"127.0.0.1:{suite.layout.ports[replica].grpc}", credentials, options)


def test_a_change_is_told_by_every_replica(suite: Suite, client: Client, scaling: Session) -> None:
    with ExitStack() as stack:
        watches: list[Any] = []
        for process in suite.replicas("pipeline"):
            stub: Any = ModelCatalogueStub(stack.enter_context(_inside(suite, "inference", process.name)))
            watches.append(stub.WatchModels(catalogue_pb2.WatchModelsRequest(), timeout=60))
            stack.callback(watches[-1].cancel)
        assert len(watches) == 2
        assert [next(watch).complete for watch in watches] == [True, True]
        published = client.models.publish("told", scaling, aliases=["stable"]).model
        for watch in watches:
            assert list(next(watch).models) == [published]
        # Each goes to another replica.
        for pinned in (True, False):
            changed = client.models.update("told", pinned=pinned)
            for watch in watches:
                assert list(next(watch).models) == [changed]
        client.models.unpublish("told")
        for watch in watches:
            assert list(next(watch).removed) == ["told"]


def test_what_is_acknowledged_is_read_at_every_replica(client: Client, scaling: Session) -> None:
    for number in range(1, 5):
        scaling.load_pipeline(_pipeline(number))
        published = client.models.publish("read", scaling, aliases=["stable"])
        assert [client.models.get("read").model for _ in range(4)] == [published.model] * 4
    client.models.unpublish("read")


def test_a_model_outlives_its_session(client: Client) -> None:
    with client.session() as session:
        session.load_pipeline(_pipeline(7))
        model = client.models.publish("outlives", session).model
    assert client.models.get("outlives").model == model
    client.models.unpublish("outlives")


def test_only_who_serves_models_watches_them(suite: Suite) -> None:
    for who in ("config", "gateway"):
        with _inside(suite, who, "pipeline-0") as channel:
            stub: Any = ModelCatalogueStub(channel)
            with pytest.raises(grpc.RpcError) as refused:
                next(stub.WatchModels(catalogue_pb2.WatchModelsRequest(), timeout=10))
        assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED  # type: ignore[attr-defined]
    with suite.channel() as channel:
        stub = ModelCatalogueStub(channel)
        with pytest.raises(grpc.RpcError) as refused:
            next(stub.WatchModels(catalogue_pb2.WatchModelsRequest(), timeout=10))
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED  # type: ignore[attr-defined]


def test_changes_leave_audit_lines(suite: Suite, client: Client, scaling: Session) -> None:
    client.models.publish("audited", scaling)
    client.models.unpublish("audited")
    deadline = time.monotonic() + 60
    while True:
        lines = "".join(each.log.read_text() for each in suite.replicas("pipeline")).splitlines()
        audits = [line for line in lines if '"audit"' in line and '"code": "OK"' in line]
        if all(any(f"ModelService/{name}" in line for line in audits) for name in ("Publish", "Unpublish")):
            return
        assert time.monotonic() < deadline, audits
        time.sleep(0.05)


def test_models_belong_to_who_published_them(public_suite: Suite, identities: Identities) -> None:
    with ExitStack() as stack:
        alice, bob = (
            stack.enter_context(Client(public_suite.config(identities.tokens[name]))) for name in ("alice", "bob")
        )
        hers = stack.enter_context(alice.session())
        hers.load_pipeline(_pipeline())
        model = alice.models.publish("hers", hers, aliases=["stable"], callers=["nobody"]).model
        assert model.owner == model.versions[0].published_by
        assert model.owner
        assert bob.models.list() == []
        with pytest.raises(NotFoundError) as refused:
            bob.models.get("hers")
        with pytest.raises(NotFoundError) as never:
            bob.models.get("sher")
        assert refused.value.message.replace("hers", "sher") == never.value.message
        alice.models.update("hers", callers=[bob_name := _name_of(bob)])
        assert [each.name for each in bob.models.list()] == ["hers"]
        with pytest.raises(PermissionDeniedError, match="may call but not change"):
            bob.models.set_alias("hers", "stable", 1)
        alice.models.update("hers", editors=[bob_name])
        assert bob.models.set_alias("hers", "canary", 1).aliases[0].name == "canary"
        alice.models.unpublish("hers")


def _name_of(client: Client) -> str:
    """The name by which a client is known: the owner of what it publishes."""
    with client.session() as session:
        session.load_pipeline(_pipeline())
        owner = client.models.publish("whose", session).model.owner
    client.models.unpublish("whose")
    return owner
