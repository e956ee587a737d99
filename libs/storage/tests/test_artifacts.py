"""Immutable bytes by digest."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from collections.abc import Collection
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from swath.errors import ArtifactCorrupt, ArtifactMissing, InvalidInput, StorageRefused, Unavailable
from swath.storage import ArtifactStore, FolderObjects
from swath.storage.opening import artifacts_from_spec
from swath.storage.s3.bucket import PART, Bucket
from swath.storage.s3.location import S3Location
from swath_suite.s3 import S3Process

DIGEST = "sha256:" + hashlib.sha256(b"weights").hexdigest()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "artifacts"


@pytest.fixture
def in_folder(folder: Path) -> ArtifactStore:
    return ArtifactStore(FolderObjects(folder))


@pytest.fixture
def in_bucket(s3_location: S3Location, tmp_path: Path) -> ArtifactStore:
    spec = {"bucket": s3_location.spec(), "cache": str(tmp_path / "cache"), "cache_bytes": 1 << 30}
    return artifacts_from_spec(spec)


@pytest.fixture(params=["in_folder", "in_bucket"])
def store(request: pytest.FixtureRequest) -> ArtifactStore:
    """A store of either kind."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def objects(s3: S3Process, s3_location: S3Location) -> Path:
    """Folder of the objects of the test's part of the bucket."""
    return s3.files / s3_location.prefix


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


def test_the_same_bytes_are_kept_once(in_folder: ArtifactStore, folder: Path) -> None:
    in_folder.put_sync(b"weights")
    in_folder.put_sync(b"weights")
    assert len(stored(folder)) == 1


async def test_missing(store: ArtifactStore) -> None:
    assert not await store.exists(DIGEST)
    with pytest.raises(ArtifactMissing):
        await store.get(DIGEST)


@pytest.mark.parametrize("digest", ["", "weights", "sha256:../../etc/passwd", DIGEST.upper()])
def test_only_digests_are_asked_for(store: ArtifactStore, digest: str) -> None:
    with pytest.raises(InvalidInput):
        store.get_sync(digest)


def test_damage_is_noticed_and_healed_by_another_put(in_folder: ArtifactStore, folder: Path) -> None:
    in_folder.put_sync(b"weights")
    stored(folder)[0].write_bytes(b"rubbish")
    with pytest.raises(ArtifactCorrupt):
        in_folder.get_sync(DIGEST)
    in_folder.put_sync(b"weights")
    assert in_folder.get_sync(DIGEST) == b"weights"


def test_damage_in_a_bucket(in_bucket: ArtifactStore, bucket: Bucket) -> None:
    in_bucket.put_sync(b"weights")
    bucket.put(f"sha256/{DIGEST[7:9]}/{DIGEST[9:]}", b"rubbish")
    with pytest.raises(ArtifactCorrupt):
        in_bucket.get_sync(DIGEST)
    in_bucket.put_sync(b"weights")
    assert in_bucket.get_sync(DIGEST) == b"weights"


def test_what_was_read_from_a_bucket_is_read_from_a_copy_then(
    in_bucket: ArtifactStore, bucket: Bucket, tmp_path: Path
) -> None:
    in_bucket.put_sync(b"weights")
    assert in_bucket.get_sync(DIGEST) == b"weights"
    bucket.put(f"sha256/{DIGEST[7:9]}/{DIGEST[9:]}", b"rubbish")
    assert in_bucket.get_sync(DIGEST) == b"weights"
    [copy] = stored(tmp_path / "cache" / "artifacts")
    copy.write_bytes(b"damaged")
    with pytest.raises(ArtifactCorrupt):
        in_bucket.get_sync(DIGEST)


def test_a_worker_opens_the_same_store(store: ArtifactStore) -> None:
    store.put_sync(b"weights")
    assert artifacts_from_spec(json.loads(json.dumps(store.spec()))).get_sync(DIGEST) == b"weights"


def test_large_ones(store: ArtifactStore) -> None:
    data = os.urandom(2 * PART + 1)
    assert store.get_sync(store.put_sync(data)) == data


def test_a_bucket_that_is_away(tmp_path: Path) -> None:
    with S3Process(tmp_path / "s3") as server:
        spec = {"bucket": server.place("a").spec(), "cache": str(tmp_path / "cache"), "cache_bytes": 1 << 30}
        store = artifacts_from_spec(spec)
        store.put_sync(b"weights")
        other = store.put_sync(b"others")
        store.get_sync(DIGEST)
        server.kill()
        for call in (lambda: store.put_sync(b"more"), lambda: store.get_sync(other), lambda: store.exists_sync(other)):
            with pytest.raises(Unavailable) as raised:
                call()
            assert raised.value.retry_after
        # From its copy.
        assert store.get_sync(DIGEST) == b"weights"
        server.start()
        assert store.get_sync(other) == b"others"


def test_no_room_is_said_before_the_acknowledgement(in_folder: ArtifactStore, folder: Path, little_room: int) -> None:
    with pytest.raises(StorageRefused, match="no room"):
        in_folder.put_sync(bytes(little_room + 1))
    assert [path for path in stored(folder) if "#" not in path.name] == []


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInput):
        ArtifactStore(FolderObjects(tmp_path / "file" / "artifacts"))


def aged(files: Path, digests: Collection[str], seconds: float = 100.0) -> None:
    """Make artifacts older: the S3 server's objects are files as well, whose age is theirs."""
    at = time.time() - seconds
    for path in stored(files):
        if any(path.match(f"*{digest[9:]}") for digest in digests):
            os.utime(path, (at, at))


@pytest.fixture(params=["folder", "bucket"])
def kind(request: pytest.FixtureRequest) -> tuple[ArtifactStore, Path]:
    """A store of either kind, and where its bytes are."""
    files = "folder" if request.param == "folder" else "objects"
    return request.getfixturevalue(f"in_{request.param}"), request.getfixturevalue(files)


def test_parts_are_apart(kind: tuple[ArtifactStore, Path]) -> None:
    store, files = kind
    part = store.part("checkpoints")
    assert part.put_sync(b"weights") == DIGEST
    assert (part.exists_sync(DIGEST), store.exists_sync(DIGEST)) == (True, False)
    aged(files, [DIGEST])
    assert (part.older_sync(50), store.older_sync(50)) == ({DIGEST}, set())
    assert artifacts_from_spec(part.spec()).get_sync(DIGEST) == b"weights"


class TestRemoval:
    def test_what_was_put_lately_is_not_old(self, kind: tuple[ArtifactStore, Path]) -> None:
        store, files = kind
        old, young = store.put_sync(b"old"), store.put_sync(b"young")
        aged(files, [old])
        assert store.older_sync(50) == {old}
        aged(files, [young])
        store.put_sync(b"young")
        assert store.older_sync(50) == {old}

    def test_only_what_is_old_goes(self, kind: tuple[ArtifactStore, Path]) -> None:
        store, files = kind
        old, young = store.put_sync(b"old"), store.put_sync(b"young")
        aged(files, [old])
        assert store.remove_sync([old, young, DIGEST], 50) == [old]
        assert (store.exists_sync(old), store.exists_sync(young)) == (False, True)

    @pytest.mark.parametrize("late", [False, True], ids=["before it is looked at", "after it was looked at"])
    def test_what_is_put_again_while_it_is_removed_is_there_afterwards(
        self, kind: tuple[ArtifactStore, Path], monkeypatch: pytest.MonkeyPatch, late: bool
    ) -> None:
        store, files = kind
        other = artifacts_from_spec(store.spec())
        aged(files, [store.put_sync(b"weights")])
        looking: Any = store._objects
        written = looking.written
        putting = threading.Thread(target=other.put_sync, args=[b"weights"])

        def looked(name: str) -> datetime | None:
            before = written(name)
            putting.start()
            while written(name) == before:
                time.sleep(0.01)
            # It is written, and its writer waits to see what becomes of it.
            time.sleep(0.2)
            assert putting.is_alive()
            return before if late else written(name)

        monkeypatch.setattr(looking, "written", looked)
        assert store.remove_sync([DIGEST], 50) == ([DIGEST] if late else [])
        putting.join(10)
        assert other.get_sync(DIGEST) == b"weights"
        assert other.exists_sync(DIGEST)

    def test_others_are_put_without_waiting(
        self, in_bucket: ArtifactStore, objects: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = artifacts_from_spec(in_bucket.spec())
        aged(objects, [in_bucket.put_sync(b"weights")])
        looking: Any = in_bucket._objects
        written = looking.written

        def looked(name: str) -> datetime | None:
            other.put_sync(b"others")
            return written(name)

        monkeypatch.setattr(looking, "written", looked)
        assert in_bucket.remove_sync([DIGEST], 50) == [DIGEST]

    def test_a_removal_that_takes_too_long_removes_nothing_that_others_no_longer_wait_for(
        self, in_bucket: ArtifactStore, objects: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        aged(objects, [in_bucket.put_sync(b"weights")])
        monkeypatch.setattr("swath.storage.artifacts.bucket._LONGEST_BATCH_S", 0.0)
        assert in_bucket.remove_sync([DIGEST], 50) == []
        assert in_bucket.exists_sync(DIGEST)

    def test_a_removal_that_a_process_did_not_finish_is_cleared(
        self, in_bucket: ArtifactStore, objects: Path, bucket: Bucket
    ) -> None:
        bucket.put("condemned", json.dumps(["x", f"sha256/{DIGEST[7:9]}/{DIGEST[9:]}"]).encode())
        in_bucket.tidy_sync(50)
        began = time.monotonic()
        in_bucket.put_sync(b"weights")
        assert time.monotonic() - began < 30
        assert [path.name for path in stored(objects)] == [DIGEST[9:]]

    def test_and_so_are_writes(self, in_folder: ArtifactStore, folder: Path) -> None:
        digest = in_folder.put_sync(b"weights")
        [whole] = stored(folder)
        begun, stale = (whole.with_name(f"{whole.name}#{number}") for number in (1, 2))
        begun.touch()
        stale.touch()
        os.utime(stale, (0, 0))
        in_folder.tidy_sync(50)
        assert stored(folder) in ([whole, begun], [begun, whole])
        assert in_folder.get_sync(digest) == b"weights"
