"""Files that a job writes."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from swath.errors import InvalidInput, PathDenied, Unavailable
from swath.retry import retry_while_unavailable
from swath.storage import Workspace
from swath.storage.s3.bucket import PART, Bucket
from swath.storage.workspace.bucket import BucketWorkspace
from swath.storage.workspace.outputs import Outputs
from swath_suite.s3 import S3Process


@pytest.fixture
def outputs(workspace: Workspace) -> Outputs:
    return workspace.outputs()


def seen(workspace: Workspace, path: str) -> dict[str, bytes]:
    """What others see below a folder."""
    return {name: file.read_bytes() for name, file in workspace.files(path, content=("",)).items()}


def test_files_show_when_they_are_published(workspace: Workspace, outputs: Outputs) -> None:
    folder = outputs.resolve("runs/1")
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("a.ckpt", "b.ckpt", "c.ckpt.tmp"):
        (folder / name).write_bytes(name.encode())
    outputs.publish()
    (folder / "c.ckpt.tmp").unlink()
    assert seen(workspace, "runs") == {"1/a.ckpt": b"a.ckpt", "1/b.ckpt": b"b.ckpt"}


def test_changes_removals_and_links_show_as_well(workspace: Workspace, outputs: Outputs) -> None:
    folder = outputs.resolve("runs")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "old").write_bytes(b"1")
    (folder / "log").write_bytes(b"1")
    outputs.publish()
    (folder / "old").unlink()
    with (folder / "log").open("ab") as log:
        log.write(b"2")
    (folder / "last").symlink_to("log")
    outputs.publish()
    assert seen(workspace, "runs") == {"log": b"12", "last": b"12"}


def test_what_is_there_already_can_be_read_replaced_and_removed(workspace: Workspace) -> None:
    workspace.write("runs/a", b"1")
    workspace.write("runs/b", b"2")
    workspace.write("runs/deep/c", b"3")
    outputs = workspace.outputs()
    folder = outputs.resolve("runs")
    assert (folder / "a").read_bytes() == b"1"
    assert (folder / "deep").is_dir()
    with (folder / "a").open("ab") as file:
        file.write(b"1")
    (folder / "b").unlink()
    outputs.publish()
    assert seen(workspace, "runs") == {"a": b"11", "deep/c": b"3"}
    outputs.close()


def test_a_single_file(workspace: Workspace, outputs: Outputs) -> None:
    file = outputs.resolve("videos/x.mp4")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"film")
    (file.parent / "other").write_bytes(b"not asked for")
    outputs.publish()
    assert seen(workspace, "videos")["x.mp4"] == b"film"


@pytest.mark.parametrize("path", ["../x", "/etc/x", ".swath-x/y", "a/../../x"])
def test_doors(outputs: Outputs, path: str) -> None:
    with pytest.raises(PathDenied):
        outputs.resolve(path)


def test_allowed_folders_are_this_machines(workspace: Workspace, outputs: Outputs) -> None:
    place = outputs.resolve(str(workspace.allow_roots[0] / "x"))
    assert place == workspace.allow_roots[0] / "x"


class TestBucket:
    def test_the_mirror_knows_nothing_of_them_before(self, in_bucket: BucketWorkspace) -> None:
        outputs = in_bucket.outputs()
        place = outputs.resolve("runs/x")
        place.parent.mkdir(parents=True)
        place.write_bytes(b"1")
        assert not in_bucket.resolve("runs/x").exists()
        assert in_bucket.shown(place) == "/workspace/runs/x"
        outputs.close()
        assert not place.exists()

    def test_copies_that_others_read_are_not_written_into(self, in_bucket: BucketWorkspace) -> None:
        in_bucket.write("log", b"1")
        before = in_bucket.resolve("log")
        outputs = in_bucket.outputs()
        with outputs.resolve("log").open("ab") as log:
            log.write(b"2")
        assert before.read_bytes() == b"1"
        outputs.close()

    def test_links_that_lead_away_are_left_out(self, in_bucket: BucketWorkspace, bucket: Bucket) -> None:
        outputs = in_bucket.outputs()
        folder = outputs.resolve("runs")
        folder.mkdir()
        (folder / "door").symlink_to("/etc/passwd")
        (folder / "x").touch()
        outputs.publish()
        assert [each.key for each in bucket.list()] == ["runs/x"]
        outputs.close()

    def test_large_files_that_grow_are_left_for_later(self, in_bucket: BucketWorkspace, bucket: Bucket) -> None:
        outputs = in_bucket.outputs()
        file = outputs.resolve("film")
        file.write_bytes(os.urandom(6 * PART))
        assert outputs.publish(final=False)
        with file.open("ab") as film:
            film.write(b"more")
        assert not outputs.publish(final=False)
        assert bucket.describe("film")[0].size == 6 * PART
        assert outputs.publish()
        assert bucket.describe("film")[0].size == 6 * PART + 4
        outputs.close()

    def test_a_job_outlasts_a_server_that_is_away(self, tmp_path: Path, shipped: Path) -> None:
        with S3Process(tmp_path / "s3") as server:
            place = server.place("w")
            workspace = BucketWorkspace(place, shipped, public="/workspace", cache=tmp_path / "c", cache_bytes=1 << 30)
            outputs = workspace.outputs()
            outputs.resolve("x").write_bytes(b"1")
            server.kill()
            with pytest.raises(Unavailable):
                outputs.publish()
            tries = 0

            def publish() -> bool:
                nonlocal tries
                tries += 1
                if tries == 2:
                    server.start()
                return outputs.publish()

            assert retry_while_unavailable(publish)
            assert workspace.resolve("x").read_bytes() == b"1"
            outputs.close()
            workspace.close()


class TestPatience:
    def test_it_ends(self) -> None:
        def away() -> None:
            raise Unavailable("away")

        started = time.monotonic()
        with pytest.raises(Unavailable):
            retry_while_unavailable(away, timeout_s=0.3)
        assert time.monotonic() - started < 15

    def test_other_errors_are_not_waited_for(self) -> None:
        tries = []

        def wrong() -> None:
            tries.append(True)
            raise InvalidInput("wrong")

        with pytest.raises(InvalidInput):
            retry_while_unavailable(wrong)
        assert len(tries) == 1
