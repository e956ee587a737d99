"""Runs whose stores refuse a write for a while."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.errors import StorageDenied, StorageRefused, SwathError
from swath.storage.artifacts.store import CHECKPOINTS
from swath_suite.testing.fixtures import needs_programs
from swath_suite.testing.small_disk import SmallDisk
from swath_training.api.requests import TrainRequest

from .conftest import GRADIENT, STATISTICAL, World, config, epoch_ended, epochs_of


@pytest.mark.parametrize("error", [StorageRefused, StorageDenied])
@pytest.mark.parametrize("write", ["begin", "set_worker", "end"])
async def test_a_run_stands_still_while_its_database_is_full_and_ends_then(
    world: World, monkeypatch: pytest.MonkeyPatch, error: type[SwathError], write: str
) -> None:
    store = world.training._store
    written, refused = getattr(store, write), []

    async def refusing(*arguments: Any) -> Any:
        if len(refused) < 2:
            refused.append(write)
            raise error("the database is full, or locked up")
        return await written(*arguments)

    monkeypatch.setattr(store, write, refusing)
    told = await world.train(await world.configured(), STATISTICAL)
    assert refused
    assert told[-1].status == pb.TRAIN_STATUS_COMPLETE


@pytest.fixture
def checkpoints(world: World) -> Iterator[SmallDisk]:
    """A disk of its own for the checkpoints of the world's runs."""
    with needs_programs():
        disk = SmallDisk(world.folder / "artifacts" / CHECKPOINTS, 4 << 20)
    with disk:
        yield disk


async def test_a_run_whose_checkpoint_is_refused_fails_in_words_and_the_session_is_free(
    world: World, checkpoints: SmallDisk
) -> None:
    session = await world.fitted(epochs=500)
    before = await world.sessions.get(session.id)
    following = await world.service.train(TrainRequest(session.id, GRADIENT))
    await world.until(following, epoch_ended(1))
    checkpoints.fill()
    again = await world.service.train(TrainRequest(session.id, GRADIENT))
    with pytest.raises(StorageRefused, match="no room"):
        await world.until(again, lambda told: False)
    checkpoints.free()
    after = await world.sessions.get(session.id)
    assert (after.active_run, after.weights_digest) == (None, before.weights_digest)
    assert (await world.train(session, STATISTICAL))[-1].status == pb.TRAIN_STATUS_COMPLETE


async def test_a_run_whose_kept_checkpoints_fill_their_disk_fails_in_words(world: World) -> None:
    """The checkpoints that a configuration asks for are the worker's own to write."""
    with needs_programs():
        disk = SmallDisk(world.workspace.root / "kept", 4 << 20)
    with disk:
        kept = {"dirpath": "kept", "every_n_epochs": 1, "save_top_k": -1, "monitor": "train/loss"}
        plain = config(epochs=500)["training"]
        session = await world.fitted(training={**plain, "callbacks": {"checkpoint": kept}})
        following = await world.service.train(TrainRequest(session.id, GRADIENT))
        await world.until(following, epoch_ended(1))
        disk.fill()
        with pytest.raises(StorageRefused, match="no room") as refused:
            await world.until(following, lambda told: False)
        assert str(world.folder) not in refused.value.message
        disk.free()
        assert (await world.sessions.get(session.id)).active_run is None
        assert (await world.train(session, STATISTICAL))[-1].status == pb.TRAIN_STATUS_COMPLETE


async def test_a_run_whose_checkpoint_is_gone_begins_anew_and_ends_the_same(world: World) -> None:
    undisturbed, disturbed = await world.fitted(epochs=40), await world.fitted(epochs=40)
    expected = epochs_of(await world.train(undisturbed, GRADIENT))
    following = await world.service.train(TrainRequest(disturbed.id, GRADIENT))
    await world.until(following, epoch_ended(3))
    worker = await world.worker(following.run_id)
    await world.training.close()
    worker.kill()
    shutil.rmtree(world.folder / "artifacts" / "checkpoints")
    await world.restart()
    await world.train(disturbed, GRADIENT)
    assert epochs_of(await world.ended(following.run_id)) == expected
    ends = [await world.sessions.get(session.id) for session in (undisturbed, disturbed)]
    assert ends[0].weights_digest == ends[1].weights_digest is not None


async def test_checkpoints_of_a_run_under_way_are_referred_to_and_those_before_are_not(world: World) -> None:
    session = await world.fitted(epochs=1000)
    following = await world.service.train(TrainRequest(session.id, GRADIENT))
    await world.until(following, epoch_ended(20))
    checkpoints = world.artifacts.part(CHECKPOINTS)
    needed = await world.service.artifacts() & checkpoints.older_sync(0)
    assert len(needed) == 1
    assert len(checkpoints.older_sync(0)) > 1
    await world.service.stop(session.id)
    await world.ended(following.run_id)
    assert not await world.service.artifacts() & checkpoints.older_sync(0)
