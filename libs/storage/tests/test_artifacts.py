"""Immutable bytes by digest."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from swath.errors import ArtifactCorrupt, ArtifactMissing, InvalidInput, StorageRefused
from swath.storage import ArtifactStore

DIGEST = "sha256:" + hashlib.sha256(b"weights").hexdigest()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "artifacts"


@pytest.fixture
def store(folder: Path) -> ArtifactStore:
    return ArtifactStore.folder(folder)


def stored(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def test_what_is_put_can_be_got_by_its_digest(store: ArtifactStore) -> None:
    assert await store.put(b"weights") == DIGEST
    assert await store.get(DIGEST) == b"weights"
    assert await store.exists(DIGEST)


def test_the_same_without_an_event_loop(store: ArtifactStore) -> None:
    assert store.put_sync(b"") == "sha256:" + hashlib.sha256().hexdigest()
    assert store.get_sync(store.put_sync(b"weights")) == b"weights"
    assert store.exists_sync(DIGEST)


def test_the_same_bytes_are_kept_once(store: ArtifactStore, folder: Path) -> None:
    store.put_sync(b"weights")
    store.put_sync(b"weights")
    assert len(stored(folder)) == 1


async def test_missing(store: ArtifactStore) -> None:
    assert not await store.exists(DIGEST)
    with pytest.raises(ArtifactMissing):
        await store.get(DIGEST)


@pytest.mark.parametrize("digest", ["", "weights", "sha256:../../etc/passwd", DIGEST.upper()])
def test_only_digests_are_asked_for(store: ArtifactStore, digest: str) -> None:
    with pytest.raises(InvalidInput):
        store.get_sync(digest)


def test_damage_is_noticed_and_healed_by_another_put(store: ArtifactStore, folder: Path) -> None:
    store.put_sync(b"weights")
    stored(folder)[0].write_bytes(b"rubbish")
    with pytest.raises(ArtifactCorrupt):
        store.get_sync(DIGEST)
    store.put_sync(b"weights")
    assert store.get_sync(DIGEST) == b"weights"


def test_no_room_is_said_before_the_acknowledgement(store: ArtifactStore, folder: Path, little_room: int) -> None:
    with pytest.raises(StorageRefused, match="no room"):
        store.put_sync(bytes(little_room + 1))
    assert [path for path in stored(folder) if "#" not in path.name] == []


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInput):
        ArtifactStore.folder(tmp_path / "file" / "artifacts")


def test_collection_takes_what_is_old_and_not_referred_to(store: ArtifactStore, folder: Path) -> None:
    live, dead, young = (store.put_sync(data) for data in (b"live", b"dead", b"young"))
    long_ago = time.time() - 100
    for path in stored(folder):
        if not path.match(f"*{young[9:]}"):
            os.utime(path, (long_ago, long_ago))
    assert store.collect_sync({live}, grace_s=50) == 1
    assert (store.exists_sync(live), store.exists_sync(dead), store.exists_sync(young)) == (True, False, True)
