"""A training service with real sessions, storage and worker processes, and a small pipeline to train."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.documents import canonical, parse
from swath.runtime.logs import Telemetry
from swath.sessions.model import Session
from swath.storage import ArtifactStore, FolderObjects, Workspace
from swath.storage.sql.engine import open_engine
from swath_session import SessionAuthority, SessionSettings, SessionStore
from swath_training import Training, TrainingService, TrainingSettings, prepare
from swath_training.api.adapters.train_responses import response_of
from swath_training.api.requests import TrainRequest
from swath_training.api.streams import Following
from swath_training.launch.processes import Handle
from swath_training.runs.database.tables import SCHEMA

CHANNELS = 5
STATISTICAL, GRADIENT, CALIBRATION = (
    pb.TRAINER_TYPE_STATISTICAL,
    pb.TRAINER_TYPE_GRADIENT,
    pb.TRAINER_TYPE_CALIBRATION,
)

NODES = {
    "source": ("data.AnomalyDataNode", {"normal_class_ids": [0]}),
    "zscore": ("anomaly.deep_svdd.ZScoreNormalizerGlobal", {"num_channels": CHANNELS}),
    "projection": ("anomaly.deep_svdd.DeepSVDDProjection", {"in_channels": CHANNELS, "rep_dim": 3, "hidden": 4}),
    "center": ("anomaly.deep_svdd.DeepSVDDCenterTracker", {"rep_dim": 3}),
    "scores": ("anomaly.deep_svdd.DeepSVDDScores", {}),
    "loss": ("losses.DeepSVDDSoftBoundaryLoss", {}),
    "logit": ("conversion.ScoreToLogit", {}),
    "decider": ("deciders.binary_decider.BinaryDecider", {}),
    "metrics": ("metrics.AnomalyDetectionMetrics", {}),
}
EDGES = {
    "source.outputs.cube": ["zscore.inputs.data"],
    "zscore.outputs.normalized": ["projection.inputs.data"],
    "projection.outputs.embeddings": ["center.inputs.embeddings", "scores.inputs.embeddings", "loss.inputs.embeddings"],
    "center.outputs.center": ["scores.inputs.center", "loss.inputs.center"],
    "scores.outputs.scores": ["logit.inputs.scores"],
    "logit.outputs.logits": ["decider.inputs.logits"],
    "decider.outputs.decisions": ["metrics.inputs.decisions"],
    "source.outputs.mask": ["metrics.inputs.targets"],
}
PIPELINE = {
    "nodes": [
        {"name": name, "class_name": f"cuvis_ai.node.{class_name}", "hparams": hparams}
        for name, (class_name, hparams) in NODES.items()
    ],
    "connections": [{"source": source, "target": target} for source, targets in EDGES.items() for target in targets],
}


def config(*, epochs: int = 3, **changes: Any) -> dict[str, Any]:
    """A trainrun over the frames of the `frames` fixture."""
    return {
        "name": "small",
        "data": {
            "data_module": "npz_multi",
            "batch_size": 2,
            "splits": {
                split: [{"kind": "stems", "stems": [f"frame{index}" for index in indices]}]
                for split, indices in {"train": range(4), "val": range(4, 7), "test": range(7, 10)}.items()
            },
            "params": {"universe_csv": "frames/universe.csv"},
        },
        "training": {
            "max_epochs": epochs,
            "accelerator": "cpu",
            "num_sanity_val_steps": 0,
            "optimizer": {"lr": 0.01},
        },
        "loss_nodes": ["loss"],
        "metric_nodes": ["metrics"],
        **changes,
    }


@dataclass
class World:
    """One service over folders that outlive it.

    Attributes:
        training: The service; `restart` makes another one over the same folders.
        sessions: Sessions.
        artifacts: Artifacts.
        workspace: The workspace.
        telemetry: How workers tell of themselves.
    """

    folder: Path
    training: Training
    sessions: SessionAuthority
    artifacts: ArtifactStore
    workspace: Workspace
    database: str = ""
    telemetry: Telemetry | None = None

    @property
    def service(self) -> TrainingService:
        return self.training.service

    async def session(self, **changes: Any) -> Session:
        """Make a session with the small pipeline, fitted or not."""
        digest = await self.artifacts.put(canonical(parse("pipeline", PIPELINE)))
        session = await self.sessions.create()
        return await self.sessions.update(session.id, session.revision, pipeline_digest=digest, **changes)

    async def configured(self, **changes: Any) -> Session:
        """Make a session with pipeline and run configuration."""
        session = await self.session()
        await self.service.set_run_config(session.id, canonical(config(**changes)))
        return session

    async def fitted(self, **changes: Any) -> Session:
        """Make a configured session whose statistics are fitted."""
        session = await self.configured(**changes)
        await self.train(session, STATISTICAL)
        return session

    async def train(self, session: Session, trainer: int, **changes: Any) -> list[pb.TrainResponse]:
        """Train to the end and return what was streamed."""
        following = await self.service.train(TrainRequest(session.id, trainer, **changes))
        return [response_of(entry) async for entry in following.events()]

    async def until(self, following: Following, wanted: Callable[[pb.TrainResponse], bool]) -> list[pb.TrainResponse]:
        """Follow a run until an event is as wanted, then drop the stream; return what was streamed."""
        seen: list[pb.TrainResponse] = []
        async with aclosing(following.events()) as events:
            async for entry in events:
                seen.append(response_of(entry))
                if wanted(seen[-1]):
                    return seen
        raise AssertionError(f"the run ended before: {seen[-1:]}")

    async def ended(self, run_id: str) -> list[pb.TrainResponse]:
        """Wait for a run's end without being one of its followers; return its whole log."""
        log = self.service._log.follow(run_id, 0)
        return [response_of(entry) async for entry in log]

    async def status(self, session: Session) -> pb.TrainResponse:
        """Return the last event of the session's last run."""
        event = await self.service.status(session.id)
        assert event is not None
        return response_of(event)

    async def worker(self, run_id: str) -> Handle:
        """Return the process of a run's present attempt, which is written down a little after it has begun."""
        for _ in range(3000):
            run = await self.training._store.get(run_id)
            if run.worker_pid is not None:
                return Handle(run.worker_pid, run.worker_started)
            await asyncio.sleep(0.02)
        raise AssertionError(f"run {run_id} has had no process for a minute")

    async def restart(self, **settings: Any) -> None:
        """Replace the service by another one, as if the process had been killed: workers are left alone."""
        await self.training.close()
        self.training = make_training(
            self.folder,
            self.sessions,
            self.artifacts,
            self.workspace,
            database=self.database,
            telemetry=self.telemetry,
            **settings,
        )
        await self.training.start()


def make_training(
    folder: Path,
    sessions: SessionAuthority,
    artifacts: ArtifactStore,
    workspace: Workspace,
    *,
    database: str = "",
    replica: str = "alone",
    telemetry: Telemetry | None = None,
    **settings: Any,
) -> Training:
    return Training(
        folder / replica,
        sessions,
        artifacts,
        workspace,
        launcher=prepare(folder / replica, telemetry),
        settings=TrainingSettings(**settings),
        database=database,
        replica=replica,
    )


async def tables_in(url: str) -> None:
    """Make the tables of runs in a Postgres database."""
    engine = open_engine(url, schema=SCHEMA.name)
    await SCHEMA.migrate(engine)
    await engine.dispose()


Worlds = Callable[..., Awaitable[World]]


def epoch_ended(number: int) -> Callable[[pb.TrainResponse], bool]:
    """Whether an event ends the epoch of that number, from 1."""
    return lambda told: told.event.hook == pb.TRAIN_HOOK_EPOCH_END and told.event.epochs.current == number


def epochs_of(events: list[pb.TrainResponse]) -> list[int]:
    """Numbers of the epochs that events end, in their order."""
    return [told.event.epochs.current for told in events if told.event.hook == pb.TRAIN_HOOK_EPOCH_END]


@pytest.fixture
async def worlds(tmp_path: Path, database: Path | str) -> AsyncIterator[Worlds]:
    """Makes the world on a database of each kind, with settings of the test's choice."""
    url = database if isinstance(database, str) else ""
    if url:
        await tables_in(url)
    made: list[World] = []

    async def make(*, telemetry: Telemetry | None = None, **settings: Any) -> World:
        (tmp_path / "shipped").mkdir()
        workspace = Workspace(tmp_path / "root", tmp_path / "shipped")
        write_frames(workspace.root / "frames")
        sessions = SessionAuthority(SessionStore(open_engine(tmp_path / "session.db")), SessionSettings())
        await sessions.start()
        artifacts = ArtifactStore(FolderObjects(tmp_path / "artifacts"))
        training = make_training(
            tmp_path, sessions, artifacts, workspace, database=url, telemetry=telemetry, **settings
        )
        await training.start()
        made.append(World(tmp_path, training, sessions, artifacts, workspace, url, telemetry))
        return made[-1]

    yield make
    for world in made:
        for run in await world.training._store.leases.renew():
            await world.sessions.close(run.session_id)  # no worker outlives its test
        await world.training.close()
        await world.sessions.stop()


@pytest.fixture
async def world(worlds: Worlds) -> World:
    """The world with the default settings."""
    return await worlds()


def write_frames(folder: Path) -> None:
    """Write ten frames of 6 x 6 pixels, most of them with an anomaly, and their universe."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(7)
    rows = ["source,index,materialized_path"]
    for index in range(10):
        cube = random.normal(size=(6, 6, CHANNELS)).astype(np.float32)
        mask = np.zeros((6, 6), np.int32)
        if index % 4:
            cube[2:4, 2:4] += 3.0
            mask[2:4, 2:4] = 1
        np.savez(folder / f"frame{index}.npz", cube=cube, mask=mask, wavelengths=np.arange(400, 400 + CHANNELS))
        rows.append(f"frame{index},0,frame{index}.npz")
    (folder / "universe.csv").write_text("\n".join(rows))
