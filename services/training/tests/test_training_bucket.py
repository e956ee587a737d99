"""Runs whose data, artifacts and outputs are in a bucket."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.errors import DataInvalid
from swath.storage.opening import artifacts_from_spec
from swath.storage.s3.bucket import Bucket
from swath.storage.sql.engine import open_engine
from swath.storage.workspace.bucket import BucketWorkspace
from swath_session import SessionAuthority, SessionSettings, SessionStore
from swath_suite.s3 import S3Process
from swath_training.api.requests import TrainRequest

from .conftest import GRADIENT, STATISTICAL, World, config, epoch_ended, make_training, write_frames

Made = Callable[[S3Process], Awaitable[World]]

KEEPING = {"dirpath": "runs/ckpt", "monitor": "metrics/iou", "mode": "max", "save_top_k": 2, "save_last": "link"}


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[Made]:
    """Makes the world over an S3 server."""
    worlds: list[World] = []

    async def make(server: S3Process) -> World:
        (tmp_path / "shipped").mkdir()
        place = server.place(f"training-{tmp_path.name}")
        workspace = BucketWorkspace(
            place, tmp_path / "shipped", public="/workspace", cache=tmp_path / "cache", cache_bytes=1 << 30
        )
        artifacts = artifacts_from_spec(
            {
                "bucket": server.place(f"artifacts-{tmp_path.name}").spec(),
                "cache": str(tmp_path / "cache"),
                "cache_bytes": 1 << 30,
            }
        )
        write_frames(tmp_path / "frames")
        for file in (tmp_path / "frames").iterdir():
            workspace.bucket.put(f"frames/{file.name}", file.read_bytes())
        sessions = SessionAuthority(SessionStore(open_engine(tmp_path / "session.db")), SessionSettings())
        await sessions.start()
        training = make_training(tmp_path, sessions, artifacts, workspace)
        await training.start()
        worlds.append(World(tmp_path, training, sessions, artifacts, workspace))
        return worlds[-1]

    yield make
    for world in worlds:
        for run in await world.training._store.leases.renew():
            await world.sessions.close(run.session_id)  # no worker outlives its test
        await world.training.close()
        await world.sessions.stop()
        world.workspace.close()


@pytest.fixture
async def world(made: Made, s3: S3Process) -> World:
    return await made(s3)


def kept(world: World) -> dict[str, bytes]:
    """The user's checkpoints in the bucket."""
    assert isinstance(world.workspace, BucketWorkspace)
    bucket: Bucket = world.workspace.bucket
    return {each.key.removeprefix("runs/ckpt/"): bucket.get(each.key) for each in bucket.list("runs")}


def training_of(epochs: int) -> dict[str, Any]:
    return {"training": {**config(epochs=epochs)["training"], "callbacks": {"checkpoint": KEEPING}}}


async def test_checkpoints_show_in_the_bucket_and_events_name_them_as_clients_do(world: World) -> None:
    session = await world.fitted(**training_of(6))
    events = await world.train(session, GRADIENT)
    assert events[-1].status == pb.TRAIN_STATUS_COMPLETE, events[-1].message
    [restored] = [told for told in events if told.event.HasField("checkpoint")]
    files = kept(world)
    assert len(files) == 3
    assert "last.ckpt" in files
    assert restored.event.checkpoint.path.startswith("/workspace/runs/ckpt/")
    assert restored.event.checkpoint.path.removeprefix("/workspace/runs/ckpt/") in files
    assert str(world.folder) not in "".join(told.message for told in events)
    for data in files.values():
        torch.load(io.BytesIO(data), weights_only=True)


async def test_a_killed_worker_goes_on_with_the_checkpoints_that_it_had(world: World) -> None:
    sessions = [await world.fitted(**training_of(30)) for _ in range(2)]
    expected = await world.train(sessions[0], GRADIENT)
    before = set(kept(world))
    assert isinstance(world.workspace, BucketWorkspace)
    world.workspace.bucket.delete([f"runs/ckpt/{name}" for name in before])

    following = await world.service.train(TrainRequest(sessions[1].id, GRADIENT))
    await world.until(following, epoch_ended(4))
    (await world.worker(following.run_id)).kill()
    seen = await world.ended(following.run_id)

    assert seen[-1].status == expected[-1].status == pb.TRAIN_STATUS_COMPLETE
    assert set(kept(world)) == before
    digests = [(await world.sessions.get(session.id)).weights_digest for session in sessions]
    assert digests[0] == digests[1]


async def test_a_server_that_is_away_for_a_while_is_waited_for(made: Made, tmp_path: Path) -> None:
    with S3Process(tmp_path / "s3") as server:
        world = await made(server)
        session = await world.fitted(**training_of(40))
        following = await world.service.train(TrainRequest(session.id, GRADIENT))
        await world.until(following, epoch_ended(3))
        server.kill()
        await asyncio.sleep(4)
        server.start()
        events = await world.ended(following.run_id)
        assert events[-1].status == pb.TRAIN_STATUS_COMPLETE, events[-1].message
        assert [told.message for told in events if "worker died" in told.message] == []
        assert len(kept(world)) == 3


async def test_a_file_that_is_no_data_is_said_by_its_name(world: World) -> None:
    assert isinstance(world.workspace, BucketWorkspace)
    world.workspace.bucket.put("frames/frame0.npz", b"rubbish")
    session = await world.configured(**training_of(3))
    with pytest.raises(DataInvalid) as raised:
        await world.train(session, STATISTICAL)
    assert str(world.folder) not in raised.value.message
