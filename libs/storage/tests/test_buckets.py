"""Objects of a bucket."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from obstore.store import MemoryStore

from swath.errors import FileChanged, FileMissing, InvalidInput, PathDenied, StorageDenied, Unavailable
from swath.storage.s3.bucket import PART, Bucket
from swath.storage.s3.location import S3Location
from swath.storage.s3.objects import stem_of
from swath_suite.s3 import S3Process

LARGE = os.urandom(2 * PART + 12_345)


def put(bucket: Bucket, *keys: str) -> None:
    for key in keys:
        bucket.put(key, key.encode())


def test_what_is_put_is_there_with_what_was_said_about_it(bucket: Bucket) -> None:
    bucket.put("a/b", b"data", {"colour": "blue"})
    found, attributes = bucket.describe("a/b")
    assert (found.key, found.size, attributes["colour"], bucket.get("a/b")) == ("a/b", 4, "blue", b"data")
    assert abs(found.modified_ns / 1e9 - time.time()) < 10


@pytest.mark.parametrize("data", [b"", b"x", LARGE], ids=["empty", "small", "large"])
def test_reading_in_order(bucket: Bucket, data: bytes) -> None:
    bucket.put("file", data)
    assert b"".join(bucket.read("file").chunks) == data
    if len(data) > 1:
        assert b"".join(bucket.read("file", start=1).chunks) == data[1:]
        assert b"".join(bucket.read("file", end=1).chunks) == data[:1]


def test_versions_change_with_the_content(bucket: Bucket) -> None:
    versions = []
    for data in (b"one", b"two"):
        bucket.put("file", data)
        versions.append(bucket.describe("file")[0].version)
    assert versions[0] != versions[1]
    with pytest.raises(FileChanged):
        bucket.read("file", version=versions[0])


def test_a_stream_that_breaks_off_leaves_what_was_there(bucket: Bucket) -> None:
    bucket.put("file", b"old")

    def broken():
        yield LARGE
        raise InvalidInput("broken off")

    with pytest.raises(InvalidInput, match="broken off"):
        bucket.put_stream("file", broken(), size=1 << 30)
    assert bucket.get("file") == b"old"


def test_missing(bucket: Bucket) -> None:
    assert bucket.head("missing") is None
    for call in (bucket.get, bucket.read, bucket.describe):
        with pytest.raises(FileMissing):
            call("missing")
    bucket.delete(["missing"])


class TestLook:
    @pytest.fixture(autouse=True)
    def scene(self, bucket: Bucket) -> None:
        put(bucket, "data/scene.npz", "data/scene.hdr", "data/scene.img.hdr", "data/scene.0001.npz", "data/scene-1.npz")
        put(bucket, "data/scene/x", "data/scenery.npz", "data/scend", "data/other.npz", "data/scene.zarr/0/0", "top.pt")

    def test_a_file_with_those_of_its_stem(self, bucket: Bucket) -> None:
        look = bucket.list_key("data/scene.npz")
        assert look.file is not None
        assert not look.folder
        assert [each.key for each in look.siblings] == ["data/scene.hdr", "data/scene.img.hdr"]

    def test_a_folder(self, bucket: Bucket) -> None:
        for key in ("data", "data/scene", "data/scene.zarr", "data/scene.zarr/0"):
            assert bucket.list_key(key).folder
        assert not bucket.list_key("data/scen").folder

    def test_at_the_top(self, bucket: Bucket) -> None:
        assert bucket.list_key("top.pt").file is not None
        assert bucket.list_key("to").file is None

    @pytest.mark.parametrize("name", ["0", "a0", "!", " x", "é", "\ue000", "~", "a b#c?d%e+f&g*[h]"])
    def test_any_name(self, bucket: Bucket, name: str) -> None:
        put(bucket, f"{name}/deep", f"data/{name}", f"data/{name}.yaml")
        assert bucket.list_key(f"data/{name}").file is not None
        assert bucket.list_key(f"data/{name}.yaml").file is not None
        assert bucket.list_key(name).folder

    def test_passes_over_a_folder_with_very_much_in_it(self) -> None:
        store = MemoryStore()
        bucket = Bucket(store, store, "memory")
        put(bucket, *(f"x.zarr/{number}" for number in range(2500)), "x.zzz", "x.npz")
        look = bucket.list_key("x.npz")
        assert look.file is not None
        assert [each.key for each in look.siblings] == ["x.zzz"]

    def test_a_folder_hides_a_file_of_the_same_name(self) -> None:
        store = MemoryStore()  # a file system, as versitygw has it below, knows no such thing
        bucket = Bucket(store, store, "memory")
        put(bucket, "a", "a/b")
        assert bucket.list_key("a").folder
        assert bucket.list_key("a").file is None


@pytest.mark.parametrize(
    ("name", "stem"), [("x.npz", "x"), ("x.img.hdr", "x.img"), ("x", "x"), (".hidden", ".hidden"), ("x.", "x")]
)
def test_stems(name: str, stem: str) -> None:
    assert stem_of(name) == stem


@pytest.mark.parametrize("key", ["a\nb", "a\x7f", "n" * 1025, "\udcff"])
def test_keys_that_objects_cannot_have(bucket: Bucket, key: str) -> None:
    with pytest.raises(PathDenied):
        bucket.check(key)


class TestFaults:
    def test_credentials_that_are_not_right(self, s3: S3Process) -> None:
        wrong = Bucket.open(S3Location(s3.bucket, "x", s3.endpoint, "us-east-1", s3.access_key_id, "wrong"))
        for call in (
            lambda: wrong.put("a", b"1"),
            lambda: wrong.get("a"),
            lambda: wrong.head("a"),
            lambda: list(wrong.list()),
            lambda: wrong.delete(["a"]),
            lambda: wrong.put_stream("a", [LARGE], size=len(LARGE)),
        ):
            with pytest.raises(StorageDenied, match="refuses the server access"):
                call()

    def test_a_bucket_that_is_not_there(self, s3: S3Process) -> None:
        nowhere = Bucket.open(
            S3Location("nowhere", "", s3.endpoint, "us-east-1", s3.access_key_id, s3.secret_access_key)
        )
        for call in (lambda: nowhere.put("a", b"1"), lambda: nowhere.list_folder(), lambda: list(nowhere.list())):
            with pytest.raises(StorageDenied, match="no bucket"):
                call()

    def test_a_server_that_is_away_is_said_to_be_soon_and_comes_back(self, tmp_path: Path) -> None:
        with S3Process(tmp_path / "s3") as server:
            bucket = Bucket.open(server.place("x"))
            bucket.put("kept", LARGE)
            server.kill()
            for call in (
                lambda: bucket.put("a", b"1"),
                lambda: bucket.put_stream("a", [LARGE], size=len(LARGE)),
                lambda: bucket.get("kept"),
                lambda: bucket.list_key("kept"),
                lambda: bucket.delete(["kept"]),
            ):
                started = time.monotonic()
                with pytest.raises(Unavailable) as raised:
                    call()
                assert raised.value.retry_after
                assert time.monotonic() - started < 15
            server.start()
            assert bucket.get("kept") == LARGE
            assert bucket.head("a") is None

    def test_messages_hold_no_secrets_and_no_raw_answers(self, s3: S3Process) -> None:
        wrong = Bucket.open(S3Location(s3.bucket, "x", s3.endpoint, "us-east-1", s3.access_key_id, "wrong-secret"))
        with pytest.raises(StorageDenied) as raised:
            wrong.get("a")
        assert raised.value.message == "s3://swath/x refuses the server access to 'a': SignatureDoesNotMatch"
        assert "wrong-secret" not in repr(S3Location("b", "p", secret_access_key="wrong-secret"))
