"""Published models, called by others' clients: of a server in one process, and behind the gateway."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from swath.client import Client, Session
from swath.inference import open_inference_pb2 as pb
from swath.inference import open_inference_pb2_grpc
from swath.models.v1 import models_pb2, models_pb2_grpc

ROOT = Path(__file__).resolve().parents[2]
SCENE = ROOT / "examples" / "data" / "san_diego.npz"
MODEL = "oip-rx"

_IN_SUITE = [pytest.mark.xdist_group("suite"), pytest.mark.timeout(300)]


@dataclass
class Deployment:
    """Swath, and what the tests of the protocol call it by.

    Attributes:
        target: Its address.
        client: Our own client, which makes sessions.
        stub: A raw stub of the protocol.
        replicas: Of inference.
    """

    target: str
    client: Client
    stub: Any
    models: Any
    replicas: int

    def publish(self, session: Session, name: str) -> None:
        """Publish what a session holds, and return when every replica answers for it."""
        self.models.Publish(models_pb2.PublishRequest(name=name, session_id=session.id), timeout=60)
        known = 0
        deadline = time.monotonic() + 60
        # Calls go to the replicas in turn, more or less.
        while known < 5 * self.replicas:
            ready = self.stub.ModelReady(pb.ModelReadyRequest(name=name), timeout=20).ready
            known = known + 1 if ready else 0
            assert time.monotonic() < deadline, f"model {name} does not become ready"
            time.sleep(0.0 if ready else 0.1)


@pytest.fixture(scope="session", params=["standalone", pytest.param("suite", marks=_IN_SUITE)])
def deployment(request: pytest.FixtureRequest) -> Iterator[Deployment]:
    """Swath, up and serving, in each of its two forms."""
    alone = request.param == "standalone"
    running = request.getfixturevalue("server" if alone else "suite")
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    with Client(running.target) as client, grpc.insecure_channel(running.target, options=options) as channel:
        client.workspace.put(str(SCENE), "data/san_diego.npz")
        yield Deployment(
            running.target,
            client,
            open_inference_pb2_grpc.GRPCInferenceServiceStub(channel),
            models_pb2_grpc.ModelServiceStub(channel),
            1 if alone else 2,
        )


@pytest.fixture(scope="session")
def trained(deployment: Deployment) -> Iterator[Session]:
    """A session with RX, fitted on the scene and published as `MODEL`."""
    with deployment.client.session() as session:
        session.set_run_config(session.resolve("trainrun", "trainrun/san_diego_rx"))
        for _ in session.train("statistical"):
            pass
        deployment.publish(session, MODEL)
        yield session


@pytest.fixture(scope="session")
def batch(scene: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Part of the scene as a batch of one."""
    cube = np.ascontiguousarray(scene["cube"][None, 10:42, 20:60], np.float32)
    return {"cube": cube, "wavelengths": np.asarray(scene["wavelengths"])[None].astype(np.int32)}


@pytest.fixture(scope="session")
def scores(trained: Session, batch: dict[str, Any]) -> np.ndarray:
    """What CuvisAIService answers for the batch."""
    return np.asarray(trained.infer(**batch)["rx.scores"])


@pytest.fixture
def run(deployment: Deployment, trained: Session, batch: Any, tmp_path: Path) -> Callable[[str, str], Any]:
    """Runs a task of a client."""
    from .clients.environment import run as run_task

    return lambda client, task: run_task(client, task, deployment.target, tmp_path, **batch)
