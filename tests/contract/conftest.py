"""Swath as other people's clients call it: in one process, and as a suite behind its gateway.

Tests that take `deployment`, `stub` or `session` run once for each form. Files reach both the same way: by the
workspace.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np
import pytest

from swath.client import Client, build_stub
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.cuvis_ai.v1.cuvis_ai_pb2_grpc import CuvisAIServiceStub

BANDS = 61
FRAMES = "contract/frames"
SOURCE = "data/Lentils/Lentils_000.cu3s"

Load = Callable[..., pb.LoadPipelineResponse]
Configure = Callable[..., pb.SetTrainRunConfigResponse]
Train = Callable[..., list[pb.TrainResponse]]


@dataclass(frozen=True)
class Deployment:
    """A server, and the two kinds of clients that call it.

    Attributes:
        target: Its address.
        stub: The generated stub, as other people's clients use it.
        client: Our own client, to bring files there.
    """

    target: str
    stub: CuvisAIServiceStub
    client: Client


_IN_SUITE = [pytest.mark.xdist_group("suite"), pytest.mark.timeout(300)]


@pytest.fixture(scope="session", params=["standalone", pytest.param("suite", marks=_IN_SUITE)])
def deployment(request: pytest.FixtureRequest) -> Iterator[Deployment]:
    """Swath, up and serving, in each of its two forms."""
    running = request.getfixturevalue("server" if request.param == "standalone" else "suite")
    with Client(running.target) as client:
        yield Deployment(running.target, build_stub(running.target), client)


@pytest.fixture(scope="session")
def stub(deployment: Deployment) -> CuvisAIServiceStub:
    """The generated stub, as other people's clients use it."""
    return deployment.stub


@pytest.fixture
def load(stub: CuvisAIServiceStub, session: str) -> Load:
    """Loads a pipeline into the session: nodes as mappings, edges as ``("a.cube", "b.data")``, further fields."""

    def call(*nodes: dict, edges: tuple[tuple[str, str], ...] = (), **fields: object) -> pb.LoadPipelineResponse:
        connections = [
            {"source": _end(source, "outputs"), "target": _end(target, "inputs")} for source, target in edges
        ]
        content = json.dumps({"nodes": nodes, "connections": connections, **fields}).encode()
        return stub.LoadPipeline(
            pb.LoadPipelineRequest(session_id=session, pipeline=pb.PipelineConfig(config_bytes=content))
        )

    return call


def _end(short: str, side: str) -> str:
    node, port = short.split(".")
    return f"{node}.{side}.{port}"


@pytest.fixture
def load_shipped(stub: CuvisAIServiceStub, session: str) -> Callable[[str], pb.LoadPipelineResponse]:
    """Loads a shipped pipeline into the session by its path below configs/pipeline."""

    def call(path: str) -> pb.LoadPipelineResponse:
        resolved = stub.ResolveConfig(
            pb.ResolveConfigRequest(session_id=session, config_type="pipeline", path=f"pipeline/{path}")
        )
        return stub.LoadPipeline(
            pb.LoadPipelineRequest(session_id=session, pipeline=pb.PipelineConfig(config_bytes=resolved.config_bytes))
        )

    return call


@pytest.fixture(scope="session")
def frames(deployment: Deployment) -> dict:
    """A data config over eight made frames of 32 x 32 x 61, an odd patch in every other one, that needs no SDK."""
    random = np.random.default_rng(7)
    wavelengths = (430 + 8 * np.arange(BANDS)).astype(np.float32)
    spectrum = 0.4 + 0.2 * np.sin(wavelengths / 60)
    rows = ["source,index,materialized_path"]
    for index in range(8):
        cube = spectrum + 0.02 * random.standard_normal((32, 32, BANDS))
        mask = np.zeros((32, 32), dtype=np.int32)
        if index % 2 == 1:
            cube[8:14, 8:14] += 0.3 * np.linspace(-1, 1, BANDS)
            mask[8:14, 8:14] = 2
        content = io.BytesIO()
        np.savez(content, cube=cube.astype(np.float32), mask=mask, wavelengths=wavelengths)
        deployment.client.workspace.put(content.getvalue(), f"{FRAMES}/frame_{index}.npz")
        rows.append(f"{SOURCE},{index},frame_{index}.npz")
    deployment.client.workspace.put("\n".join(rows).encode(), f"{FRAMES}/universe.csv")
    return {
        "data_module": "npz_multi",
        "splits": {
            stage: [{"kind": "file_indices", "source": SOURCE, "ids": ids}]
            for stage, ids in {"train": ["0-3"], "val": [4, 5], "test": [6, 7]}.items()
        },
        "batch_size": 2,
        "params": {"universe_csv": f"{FRAMES}/universe.csv"},
    }


@pytest.fixture
def configure(stub: CuvisAIServiceStub, session: str, frames: dict) -> Configure:
    """Gives the session a run config over `frames`; fields given replace those."""

    def call(**fields: object) -> pb.SetTrainRunConfigResponse:
        content = json.dumps({"name": "run", "data": frames, **fields}).encode()
        return stub.SetTrainRunConfig(
            pb.SetTrainRunConfigRequest(session_id=session, config=pb.TrainRunConfig(config_bytes=content))
        )

    return call


@pytest.fixture
def train(stub: CuvisAIServiceStub, session: str) -> Train:
    """Trains the session's pipeline and returns the whole stream."""

    def call(trainer: pb.TrainerType, **fields: Any) -> list[pb.TrainResponse]:
        return list(stub.Train(pb.TrainRequest(session_id=session, trainer_type=trainer, **fields)))

    return call


@pytest.fixture
def failure(refused: Callable[..., tuple[grpc.StatusCode, str, str]]) -> Callable[..., tuple[str, str]]:
    """Makes a call that must fail; returns its code's name and its text."""

    def call(method: Callable, request: object) -> tuple[str, str]:
        code, _, text = refused(method, request)
        return code.name, text

    return call
