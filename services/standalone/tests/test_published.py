"""Published models of a server that is started again: what is pinned is there before it says that it is ready."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from swath.client import Client, PreconditionError, UnavailableError
from swath.models.v1 import models_pb2
from swath_standalone.process import ServerProcess

pytestmark = pytest.mark.timeout(300)

SCORES = np.arange(100, dtype=np.float32).reshape(1, 10, 10, 1)
"""Version N finds 100 - N of these."""
READY, FAILED = models_pb2.ReplicaState.STATE_READY, models_pb2.ReplicaState.STATE_FAILED


def _publish(client: Client, number: int, **how: Any) -> str:
    """Publish what is to be a version of this number, and return the digest of its pipeline."""
    hparams = {"threshold": number - 0.5, "keep": "above"}
    node = {"name": "above", "class_name": "cuvis_ai.node.deciders.ScoreThreshold", "hparams": hparams}
    with client.session() as session:
        session.load_pipeline({"nodes": [node], "connections": []})
        published = client.models.publish("scene", session, **how)
    assert published.version == number
    return published.model.versions[-1].pipeline_digest


def _answer(client: Client, version: int | str = "") -> int:
    return 100 - int(client.model("scene", version).infer(scores=SCORES)["above.decisions"].sum())


def _said(client: Client) -> dict[int, models_pb2.ReplicaState]:
    """Wait until the server has said what it has loaded since its start, and return that by version."""
    deadline = time.monotonic() + 30
    while True:
        said = {each.version: each for each in client.models.get("scene").states}
        if {each.state for each in said.values()} == {READY, FAILED}:
            return said
        assert time.monotonic() < deadline, said
        time.sleep(0.05)


def _health(target: str) -> int:
    with grpc.insecure_channel(target) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        return stub.Check(health_pb2.HealthCheckRequest(service="swath.model/scene")).status


def test_what_is_pinned_is_there_after_a_start_and_what_cannot_be_is_told(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path / "state")
    with server, Client(server.target) as client:
        _publish(client, 1, aliases=["stable"], pinned=True)
        lost = _publish(client, 2, aliases=["stable"])
    artifact = next((tmp_path / "state" / "artifacts").rglob(f"*{lost.partition(':')[2][2:]}*"))
    kept = artifact.read_bytes()
    artifact.unlink()

    with server, Client(server.target) as client:
        # The second version is lost: the one before answers, from the first call on and without a load.
        assert _answer(client) == 1
        with pytest.raises((UnavailableError, PreconditionError), match="version 2 could not be loaded"):
            _answer(client, 2)
        assert _health(server.target) == health_pb2.HealthCheckResponse.SERVING
        states = _said(client)
        assert (states[1].state, states[2].state) == (READY, FAILED)
        assert lost in states[2].reason

    artifact.write_bytes(kept)
    with server, Client(server.target) as client:
        assert _answer(client) == 2
