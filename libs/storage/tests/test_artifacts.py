"""Immutable bytes by digest."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path

import pytest

from swath.errors import ArtifactCorrupt, ArtifactMissing, InvalidInput, StorageRefused, Unavailable
from swath.storage import ArtifactStore
from swath.storage.buckets import PART, Bucket
from swath.storage.places import S3Place
from swath_suite.s3 import S3Process

DIGEST = "sha256:" + hashlib.sha256(b"weights").hexdigest()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "artifacts"


@pytest.fixture
def in_folder(folder: Path) -> ArtifactStore:
    return ArtifactStore.folder(folder)


@pytest.fixture
def in_bucket(s3_place: S3Place, tmp_path: Path) -> ArtifactStore:
    spec = {"bucket": s3_place.spec(), "cache": str(tmp_path / "cache"), "cache_bytes": 1 << 30}
    return ArtifactStore.from_spec(spec)


@pytest.fixture(params=["in_folder", "in_bucket"])
def store(request: pytest.FixtureRequest) -> ArtifactStore:
    """A store of either kind."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def objects(s3: S3Process, s3_place: S3Place) -> Path:
    """Folder of the objects of the test's part of the bucket."""
    return s3.files / s3_place.prefix


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
    assert ArtifactStore.from_spec(json.loads(json.dumps(store.spec()))).get_sync(DIGEST) == b"weights"


def test_large_ones(store: ArtifactStore) -> None:
    data = os.urandom(2 * PART + 1)
    assert store.get_sync(store.put_sync(data)) == data


def test_a_bucket_that_is_away(tmp_path: Path) -> None:
    with S3Process(tmp_path / "s3") as server:
        spec = {"bucket": server.place("a").spec(), "cache": str(tmp_path / "cache"), "cache_bytes": 1 << 30}
        store = ArtifactStore.from_spec(spec)
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
        ArtifactStore.folder(tmp_path / "file" / "artifacts")


@pytest.mark.parametrize("kind", ["folder", "bucket"])
def test_collection_takes_what_is_old_and_not_referred_to(request: pytest.FixtureRequest, kind: str) -> None:
    store: ArtifactStore = request.getfixturevalue(f"in_{kind}")
    # The server's objects are files as well, whose age is theirs.
    files: Path = request.getfixturevalue("folder") if kind == "folder" else request.getfixturevalue("objects")
    live, dead, young = (store.put_sync(data) for data in (b"live", b"dead", b"young"))
    long_ago = time.time() - 100
    for path in stored(files):
        if not path.match(f"*{young[9:]}"):
            os.utime(path, (long_ago, long_ago))
    assert store.collect_sync({live}, grace_s=50) == 1
    assert (store.exists_sync(live), store.exists_sync(dead), store.exists_sync(young)) == (True, False, True)
