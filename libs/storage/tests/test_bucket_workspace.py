"""A workspace in a bucket: local files that are what the bucket holds."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from obstore.store import MemoryStore

from swath.errors import FileMissing, PathDenied, StorageDenied, Unavailable
from swath.storage import Base, Workspace
from swath.storage.opening import workspace_from_spec
from swath.storage.s3.bucket import PART, Bucket
from swath.storage.s3.location import S3Location
from swath.storage.workspace.bucket import BucketWorkspace
from swath_suite.s3 import S3Process

Replica = Callable[..., BucketWorkspace]


@pytest.fixture
def replica(in_bucket: BucketWorkspace, tmp_path: Path, s3_location: S3Location) -> Replica:
    """Opens the same workspace as another process would: with the same folder of copies, or a folder of its own."""

    def replica(
        *, cache: str = "cache", place: S3Location = s3_location, bucket: Bucket | None = None
    ) -> BucketWorkspace:
        folder = tmp_path / cache
        return BucketWorkspace(
            place, in_bucket.configs, public="/workspace", cache=folder, cache_bytes=1 << 30, bucket=bucket
        )

    return replica


def present(workspace: Workspace) -> list[str]:
    """Local files, the own ones of the server among them."""
    return sorted(str(path.relative_to(workspace.root)) for path in workspace.root.rglob("*") if path.is_file())


class TestReading:
    def test_a_file_comes_with_those_of_its_stem(self, in_bucket: BucketWorkspace, bucket: Bucket) -> None:
        for name in ("scene.hdr", "scene.img", "scenery.img", "other.img"):
            bucket.put(f"data/{name}", name.encode())
        assert in_bucket.resolve("data/scene.hdr").read_bytes() == b"scene.hdr"
        assert present(in_bucket) == ["data/scene.hdr", "data/scene.img"]

    def test_every_call_sees_what_was_put_before_it(self, in_bucket: BucketWorkspace, bucket: Bucket) -> None:
        for data in (b"one", b"two", b"six"):
            bucket.put("file", data)
            assert in_bucket.resolve("file").read_bytes() == data

    def test_what_goes_from_the_bucket_goes_here(self, in_bucket: BucketWorkspace, bucket: Bucket) -> None:
        bucket.put("a/x.yaml", b"1")
        bucket.put("a/x.pt", b"1")
        assert in_bucket.resolve("a/x.yaml").exists()
        bucket.delete(["a/x.yaml", "a/x.pt"])
        assert not in_bucket.resolve("a/x.yaml").exists()
        assert present(in_bucket) == []
        assert not in_bucket.resolve("a").exists()

    def test_what_has_not_changed_is_not_fetched_again(self, in_bucket: BucketWorkspace, bucket: Bucket) -> None:
        bucket.put("file", b"data")
        before = in_bucket.resolve("file").stat()
        assert in_bucket.resolve("file").stat() == before

    def test_a_local_file_that_was_meddled_with_is_put_right(self, in_bucket: BucketWorkspace, bucket: Bucket) -> None:
        bucket.put("file", b"data")
        file = in_bucket.resolve("file")
        file.unlink()
        file.write_bytes(b"rubbish")
        assert in_bucket.resolve("file").read_bytes() == b"data"

    def test_a_folder_is_there_as_soon_as_it_holds_something(self, in_bucket: BucketWorkspace, bucket: Bucket) -> None:
        bucket.put("study/deep/x.npz", b"1")
        assert in_bucket.search_dirs("study") == (in_bucket.root / "study",)
        assert in_bucket.search_dirs("/workspace/study/deep") == (in_bucket.root / "study/deep",)
        assert present(in_bucket) == []
        assert in_bucket.search_dirs("stud") == ()

    def test_a_file_becomes_a_folder_and_back(self, in_bucket: BucketWorkspace, bucket: Bucket) -> None:
        for key in ("a", "a/b", "a"):
            bucket.delete([each.key for each in bucket.list()])
            bucket.put(key, key.encode())
            assert in_bucket.resolve(key).read_bytes() == key.encode()

    def test_foreign_names_that_no_file_system_takes_hide_nothing_else(self, replica: Replica) -> None:
        store = MemoryStore()
        bucket = Bucket(store, store, "memory")
        for key in ("a", "a/b", "n" * 300, f"{'n' * 300}/x", ".swath-uploads/x/0", "c"):
            bucket.put(key, key.encode())
        workspace = replica(cache="other", bucket=bucket)
        assert sorted(workspace.files(".", content=("a", "b", "c", "n"))) == ["a/b", "c"]
        assert present(workspace) == ["a/b", "c"]
        assert workspace.resolve("a").is_dir()
        workspace.close()

    def test_a_large_file_comes_in_parts(self, in_bucket: BucketWorkspace, bucket: Bucket) -> None:
        data = os.urandom(9 * PART + 77)
        bucket.put("large", data)
        assert in_bucket.resolve("large").read_bytes() == data

    def test_doors_of_names_in_buckets(self, in_bucket: BucketWorkspace) -> None:
        for path in ("a\nb", "a/" * 600 + "x", "/workspace/../etc", "/workspace/.swath-uploads/x"):
            with pytest.raises(PathDenied):
                in_bucket.resolve(path)


class TestNames:
    def test_absolute_paths_mean_the_same_everywhere(
        self, in_bucket: BucketWorkspace, replica: Replica, bucket: Bucket
    ) -> None:
        bucket.put("data/x", b"1")
        other = replica(cache="other")
        shown = in_bucket.shown(in_bucket.resolve("data/x"))
        assert (shown, other.resolve(shown).read_bytes()) == ("/workspace/data/x", b"1")
        assert other.shown(other.resolve(shown)) == shown
        other.close()

    def test_the_shipped_configs_lie_below_the_public_root(self, in_bucket: BucketWorkspace) -> None:
        shipped = in_bucket.configs / "pipeline/rx.yaml"
        assert in_bucket.shown(shipped) == "/workspace/configs/pipeline/rx.yaml"
        assert in_bucket.resolve("/workspace/configs/pipeline/rx.yaml") == shipped
        assert in_bucket.search_dirs("/workspace/configs/pipeline") == (shipped.parent,)

    def test_errors_name_no_local_places(self, in_bucket: BucketWorkspace) -> None:
        with pytest.raises(FileMissing, match="/workspace/gone") as raised, in_bucket.showing():
            in_bucket.find(str(in_bucket.root / "gone"), ["."])
        assert str(in_bucket.root) not in raised.value.message
        assert raised.value.metadata == {"path": "/workspace/gone"}

    def test_a_local_workspace_shows_paths_as_they_are(self, in_folder: Workspace) -> None:
        assert in_folder.shown(in_folder.root / "x") == str(in_folder.root / "x")


class TestWriting:
    def test_replicas_see_it_at_once(self, in_bucket: BucketWorkspace, replica: Replica) -> None:
        other = replica(cache="other")
        for data in (b"one", b"two"):
            in_bucket.write("configs/pipeline/x.yaml", data)
            assert other.find("x.yaml", base=Base.PIPELINES).read_bytes() == data
        other.close()

    def test_two_replicas_that_write_one_path_end_with_one_of_both(
        self, in_bucket: BucketWorkspace, replica: Replica
    ) -> None:
        other = replica(cache="other")
        contents = [bytes([number]) * 100_000 for number in range(8)]
        with ThreadPoolExecutor(8) as pool:
            list(
                pool.map(
                    lambda pair: pair[0].write("file", pair[1]), zip([in_bucket, other] * 4, contents, strict=True)
                )
            )
        assert in_bucket.resolve("file").read_bytes() == other.resolve("file").read_bytes()
        assert other.resolve("file").read_bytes() in contents
        other.close()

    def test_allowed_folders_are_this_machines(self, in_bucket: BucketWorkspace) -> None:
        place = in_bucket.allow_roots[0] / "x"
        in_bucket.write(str(place), b"here")
        assert place.read_bytes() == b"here"


class TestAtOnce:
    def test_no_call_sees_what_is_older_than_itself(self, in_bucket: BucketWorkspace, bucket: Bucket) -> None:
        """Many calls resolve a file that is written all the time; each reads at least what there was at its begin."""
        written, stop, wrong = 0, threading.Event(), []
        bucket.put("x/file", b"0")

        def write() -> None:
            nonlocal written
            while not stop.is_set():
                bucket.put("x/file", str(written + 1).encode())
                written += 1

        def read(whole: bool) -> None:
            while not stop.is_set():
                at_least = written
                found = in_bucket.files("x", content=("file",))["file"] if whole else in_bucket.resolve("x/file")
                if int(found.read_bytes()) < at_least:
                    wrong.append((at_least, found.read_bytes()))

        with ThreadPoolExecutor(6) as pool:
            for work in (write, *(lambda whole=whole: read(whole) for whole in (True, False, True, False, False))):
                pool.submit(work)
            deadline = time.monotonic() + 60
            while written <= 20 and time.monotonic() < deadline:
                time.sleep(0.1)
            time.sleep(0.5)
            stop.set()
        assert written > 20
        assert wrong == []

    def test_a_reader_in_another_process_never_sees_half_a_file(
        self, in_bucket: BucketWorkspace, replica: Replica, bucket: Bucket
    ) -> None:
        """Two processes over one folder of copies, while the file changes between two sizes."""
        other, stop, wrong = replica(), threading.Event(), []
        contents = {b"a" * 1_000_000, b"b" * 300_000}

        def read(workspace: BucketWorkspace) -> None:
            while not stop.is_set():
                if workspace.resolve("file").read_bytes() not in contents:
                    wrong.append(True)

        bucket.put("file", b"b" * 300_000)
        with ThreadPoolExecutor(4) as pool:
            for workspace in (in_bucket, other, in_bucket, other):
                pool.submit(read, workspace)
            for _ in range(20):
                for data in contents:
                    bucket.put("file", data)
            stop.set()
        assert wrong == []
        other.close()

    def test_one_process_takes_nothing_away_from_another(
        self, in_bucket: BucketWorkspace, replica: Replica, bucket: Bucket
    ) -> None:
        bucket.put("data/x", b"1")
        mine, other = in_bucket.resolve("data/x"), replica()
        bucket.delete(["data/x"])
        assert not other.resolve("data/x").exists()
        assert mine.read_bytes() == b"1"
        other.close()

    def test_what_another_process_has_fetched_is_not_fetched_again(
        self, in_bucket: BucketWorkspace, replica: Replica, bucket: Bucket
    ) -> None:
        bucket.put("large", os.urandom(1 << 20))
        other = replica()
        assert in_bucket.resolve("large").stat().st_ino == other.resolve("large").stat().st_ino
        other.close()


class TestCopies:
    def test_trees_go_with_their_process(self, in_bucket: BucketWorkspace, replica: Replica, bucket: Bucket) -> None:
        bucket.put("x", b"1")
        other = replica()
        other.resolve("x")
        other.close()
        assert not other.root.exists()
        assert in_bucket.root.exists()

    def test_trees_of_killed_processes_are_removed_by_the_next(
        self, in_bucket: BucketWorkspace, replica: Replica
    ) -> None:
        left = in_bucket.root.parent / "0123456789abcdef"
        left.mkdir()
        (left / "x").touch()
        left.with_suffix(".lock").touch()
        replica().close()
        assert not left.exists()

    def test_a_folder_that_others_may_write_is_not_used(
        self, replica: Replica, tmp_path: Path, s3_location: S3Location
    ) -> None:
        folder = tmp_path / "open" / f"workspace-{s3_location.id}"
        folder.mkdir(parents=True)
        folder.chmod(0o777)
        with pytest.raises(StorageDenied, match="nobody else"):
            replica(cache="open")

    def test_a_link_in_place_of_a_tree_or_copy_is_not_followed(
        self, in_bucket: BucketWorkspace, bucket: Bucket, tmp_path: Path
    ) -> None:
        bucket.put("data/x", b"remote")
        (in_bucket.root / "data").symlink_to(tmp_path / "outside")
        with pytest.raises(PathDenied):
            in_bucket.resolve("data/x")
        assert list((tmp_path / "outside").iterdir()) == [tmp_path / "outside" / "secret"]

    def test_copies_that_are_too_many_go_and_those_in_use_stay(
        self, tmp_path: Path, in_bucket: BucketWorkspace, s3_location: S3Location, bucket: Bucket
    ) -> None:
        small = BucketWorkspace(
            s3_location, in_bucket.configs, public="/workspace", cache=tmp_path / "small", cache_bytes=10_000
        )
        for number in range(40):
            bucket.put(f"file{number}", os.urandom(1000))
        brought = [small.resolve(f"file{number}") for number in range(40)]
        copies = [path for path in (tmp_path / "small").rglob("*") if path.parent.parent.name == "copies"]
        assert sum(path.stat().st_size for path in copies if path.is_file()) <= 10_500
        assert all(len(file.read_bytes()) == 1000 for file in brought)
        small.close()


class TestGathering:
    def test_another_process_reads_the_configs_without_the_bucket(
        self, in_bucket: BucketWorkspace, bucket: Bucket
    ) -> None:
        for key in ("configs/pipeline/own.yaml", "study/trainrun/x.yaml", "study/pipeline/y.yaml", "study/cube.npz"):
            bucket.put(key, key.encode())
        for folder in in_bucket.config_folders(["/workspace/study/trainrun"], "x.yaml"):
            in_bucket.gather(folder)
        assert present(in_bucket) == ["configs/pipeline/own.yaml", "study/pipeline/y.yaml", "study/trainrun/x.yaml"]
        reader = workspace_from_spec(in_bucket.local_spec())
        assert not isinstance(reader, BucketWorkspace)
        assert reader.find("x.yaml", ["/workspace/study/trainrun"]).read_bytes() == b"study/trainrun/x.yaml"
        assert reader.shown(reader.resolve("/workspace/study/pipeline/y.yaml")) == "/workspace/study/pipeline/y.yaml"
        assert "bucket" not in in_bucket.local_spec()

    def test_what_went_is_gone_for_it_too(self, in_bucket: BucketWorkspace, bucket: Bucket) -> None:
        for _ in range(2):
            bucket.put("configs/x.yaml", b"1")
            for folder in in_bucket.config_folders([], "x"):
                in_bucket.gather(folder)
            assert present(in_bucket) == ["configs/x.yaml"]
            bucket.delete(["configs/x.yaml"])
            for folder in in_bucket.config_folders([], "x"):
                in_bucket.gather(folder)
            assert present(in_bucket) == []

    def test_paths_that_may_not_be_read_are_left_to_the_reader(self, in_bucket: BucketWorkspace) -> None:
        assert {folder.key for folder in in_bucket.config_folders(["/etc", "../x"], "/etc/passwd")} == {"configs"}

    def test_a_local_workspace_has_nothing_to_gather(self, in_folder: Workspace) -> None:
        assert in_folder.config_folders(["."], "x") == frozenset()


class TestReader:
    def test_a_folder_comes_whole_and_once(self, in_bucket: BucketWorkspace, bucket: Bucket) -> None:
        for number in range(30):
            bucket.put(f"data/deep/{number % 3}/{number}.tif", b"1")
        read = in_bucket.reader()
        folder = read("data")
        assert len(list(folder.rglob("*.tif"))) == 30
        bucket.put("data/deep/0/0.tif", b"22")
        assert read("data/deep/0/0.tif").read_bytes() == b"1"

    def test_many_files_of_one_folder(self, in_bucket: BucketWorkspace, bucket: Bucket) -> None:
        for number in range(20):
            bucket.put(f"data/{number}.npz", str(number).encode())
        read = in_bucket.reader()
        assert [read(f"data/{number}.npz").read_bytes() for number in range(20)] == [b"%d" % n for n in range(20)]
        assert not read("data/20.npz").exists()

    def test_a_worker_of_a_bucket(self, in_bucket: BucketWorkspace, bucket: Bucket) -> None:
        bucket.put("x", b"1")
        worker = workspace_from_spec(in_bucket.spec())
        assert worker.reader()("x").read_bytes() == b"1"
        worker.close()


class TestAway:
    def test_unavailable_while_the_server_is_away_and_all_there_after(self, tmp_path: Path, shipped: Path) -> None:
        with S3Process(tmp_path / "s3") as server:
            place = server.place("w")
            workspace = BucketWorkspace(place, shipped, public="/workspace", cache=tmp_path / "c", cache_bytes=1 << 30)
            workspace.write("kept", b"1")
            server.kill()
            for call in (
                lambda: workspace.write("lost", b"1"),
                lambda: workspace.resolve("kept"),
                lambda: workspace.search_dirs("."),
                lambda: workspace.files("."),
            ):
                with pytest.raises(Unavailable):
                    call()
            server.start()
            assert workspace.resolve("kept").read_bytes() == b"1"
            assert not workspace.resolve("lost").exists()
            workspace.close()

    def test_denied(self, replica: Replica, s3_location: S3Location) -> None:
        workspace = replica(place=replace(s3_location, secret_access_key="wrong"))
        with pytest.raises(StorageDenied):
            workspace.resolve("x")
        with pytest.raises(StorageDenied):
            workspace.write("x", b"1")
        workspace.close()
