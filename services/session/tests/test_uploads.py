"""Files into the workspace: whole or not at all, and resumable."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import os
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from swath.errors import (
    ContentMismatch,
    InvalidInput,
    OffsetMismatch,
    PathDenied,
    StorageRefused,
    TimedOut,
    TooLarge,
    UploadActive,
)
from swath.storage.workspace.folder import Workspace
from swath_session import SessionSettings, WorkspaceService
from swath_session.workspace.model import UploadHeader

CUBE = os.urandom(3_000_000)
SHA256 = hashlib.sha256(CUBE).hexdigest()


async def pieces(data: bytes, size: int = 1 << 20) -> AsyncIterator[bytes]:
    for position in range(0, len(data), size):
        yield data[position : position + size]


async def cut(data: bytes) -> AsyncIterator[bytes]:
    """A stream that breaks off after these bytes."""
    async for piece in pieces(data):
        yield piece
    raise asyncio.CancelledError


async def silent(data: bytes) -> AsyncIterator[bytes]:
    """A stream that says nothing any more after these bytes."""
    yield data
    await asyncio.Event().wait()


def header(**said: Any) -> UploadHeader:
    return dataclasses.replace(UploadHeader("data/cube.npz", len(CUBE), SHA256), **said)


@pytest.fixture(params=["in_folder", "in_bucket"])
def workspace(request: pytest.FixtureRequest) -> Workspace:
    """A workspace of either kind."""
    return request.getfixturevalue(request.param)


async def cut_after(files: WorkspaceService, arrived: int) -> None:
    with pytest.raises(asyncio.CancelledError):
        await files.put(header(), cut(CUBE[:arrived]))


@pytest.mark.parametrize("size", [1, 1000, 1 << 20, 1 << 22])
async def test_a_file_arrives_in_pieces_of_any_size(files: WorkspaceService, side: Any, size: int) -> None:
    data = CUBE[:5000] if size == 1 else CUBE
    entry = await files.put(UploadHeader("data/cube.npz"), pieces(data, size))
    assert (entry.path, entry.size, entry.sha256) == ("data/cube.npz", len(data), hashlib.sha256(data).hexdigest())
    assert side.get("data/cube.npz") == data
    assert side.names() == ["data/cube.npz"]


async def test_an_empty_file(files: WorkspaceService, side: Any) -> None:
    entry = await files.put(UploadHeader("empty", size=0), pieces(b""))
    assert entry.size == 0
    assert side.get("empty") == b""


async def test_a_file_is_replaced(files: WorkspaceService, side: Any) -> None:
    await files.put(UploadHeader("file"), pieces(b"old"))
    await files.put(UploadHeader("file"), pieces(b"new"))
    assert side.get("file") == b"new"


async def test_configs_go_to_the_own_layer(files: WorkspaceService, side: Any, workspace: Workspace) -> None:
    await files.put(UploadHeader("configs/pipeline/rx.yaml"), pieces(b"own"))
    assert side.get("configs/pipeline/rx.yaml") == b"own"
    assert (workspace.configs / "pipeline/rx.yaml").read_bytes() == b"shipped"


class TestResume:
    async def test_goes_on_where_it_was_cut(self, files: WorkspaceService, side: Any) -> None:
        await cut_after(files, 2 << 20)
        assert all(name.startswith(".swath-uploads/") for name in side.names())
        offset, complete = await files.resume("data/cube.npz", SHA256)
        assert (offset, complete) == (2 << 20, False)
        await files.put(header(offset=offset), pieces(CUBE[offset:]))
        assert side.get("data/cube.npz") == CUBE
        assert await files.resume("data/cube.npz", SHA256) == (len(CUBE), True)

    async def test_may_go_back(self, files: WorkspaceService, side: Any) -> None:
        await cut_after(files, 2 << 20)
        await files.put(header(offset=1000), pieces(CUBE[1000:]))
        assert side.get("data/cube.npz") == CUBE

    async def test_not_beyond_what_has_arrived(self, files: WorkspaceService) -> None:
        await cut_after(files, 1 << 20)
        with pytest.raises(OffsetMismatch) as raised:
            await files.put(header(offset=(1 << 20) + 1), pieces(b""))
        assert raised.value.metadata["offset"] == str(1 << 20)

    async def test_survives_a_restart_of_the_server(self, files: WorkspaceService, workspace: Workspace) -> None:
        await cut_after(files, 1 << 20)
        again = WorkspaceService(workspace, SessionSettings())
        assert await again.resume("data/cube.npz", SHA256) == (1 << 20, False)
        await again.stop()

    async def test_of_what_ended_too_early(self, files: WorkspaceService) -> None:
        with pytest.raises(ContentMismatch, match="ended after 1000 of 3000000 bytes"):
            await files.put(header(), pieces(CUBE[:1000]))
        assert await files.resume("data/cube.npz", SHA256) == (1000, False)

    async def test_of_what_fell_silent(self, files: WorkspaceService, workspace: Workspace) -> None:
        hasty = WorkspaceService(workspace, SessionSettings(upload_idle_s=0.1))
        with pytest.raises(TimedOut, match="nothing of"):
            await hasty.put(header(), silent(CUBE[: 1 << 20]))
        await hasty.stop()
        assert await files.resume("data/cube.npz", SHA256) == (1 << 20, False)

    async def test_needs_a_sha256(self, files: WorkspaceService, side: Any) -> None:
        with pytest.raises(asyncio.CancelledError):
            await files.put(UploadHeader("file"), cut(CUBE))
        assert side.names() == []
        with pytest.raises(InvalidInput, match="only uploads with a sha256"):
            await files.put(UploadHeader("file", offset=5), pieces(b""))

    @pytest.mark.parametrize("workspace", ["in_folder"], indirect=True)
    async def test_what_nobody_goes_on_with_is_removed(self, files: WorkspaceService, workspace: Workspace) -> None:
        await cut_after(files, 1 << 20)
        assert await files.sweep() == 0
        [partial] = (workspace.root / ".swath-uploads").iterdir()
        yesterday = time.time() - 90_000
        os.utime(partial, (yesterday, yesterday))
        assert await files.sweep() == 1
        assert await files.resume("data/cube.npz", SHA256) == (0, False)


class TestRefusals:
    async def test_another_sha256_keeps_the_old_file(self, files: WorkspaceService, side: Any) -> None:
        await files.put(UploadHeader("data/cube.npz"), pieces(b"old"))
        with pytest.raises(ContentMismatch, match="sha256"):
            await files.put(header(), pieces(bytes(len(CUBE))))
        assert side.get("data/cube.npz") == b"old"
        assert side.names() == ["data/cube.npz"]

    async def test_more_bytes_than_announced(self, files: WorkspaceService, side: Any) -> None:
        with pytest.raises(ContentMismatch, match="more than the 3000000 bytes"):
            await files.put(header(), pieces(CUBE + b"x"))
        assert side.names() == []

    async def test_larger_than_the_limit_is_said_before_any_byte_is_read(self, files: WorkspaceService) -> None:
        with pytest.raises(TooLarge):
            await files.put(header(size=2**30 + 1), silent(b""))

    async def test_larger_than_the_limit_without_saying_so(self, side: Any, workspace: Workspace) -> None:
        small = WorkspaceService(workspace, SessionSettings(upload_max_bytes=1 << 20))
        with pytest.raises(TooLarge):
            await small.put(UploadHeader("file"), pieces(CUBE))
        assert side.names() == []
        await small.stop()

    @pytest.mark.parametrize("workspace", ["in_folder"], indirect=True)
    async def test_no_room_is_said_before_any_byte_is_read(
        self, files: WorkspaceService, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000}))
        with pytest.raises(StorageRefused, match="no room"):
            await files.put(header(), silent(b""))

    @pytest.mark.parametrize("workspace", ["in_folder"], indirect=True)
    async def test_no_room_on_the_way(self, files: WorkspaceService, side: Any, little_room: int) -> None:
        with pytest.raises(StorageRefused, match="no room"):
            await files.put(header(), pieces(CUBE))
        assert side.names() == []

    @pytest.mark.parametrize(
        "path", ["../x", "/etc/x", "a/../../x", ".swath-uploads/x", "n" * 300, "a\0b", "data/.swath-x"]
    )
    async def test_paths_that_leave(self, files: WorkspaceService, path: str) -> None:
        with pytest.raises(PathDenied):
            await files.put(UploadHeader(path), silent(b""))
        with pytest.raises(PathDenied):
            await files.resume(path, SHA256)

    async def test_absolute_paths_to_the_shipped_configs_and_to_allowed_folders(
        self, files: WorkspaceService, workspace: Workspace
    ) -> None:
        for folder in (workspace.configs, *workspace.allow_roots):
            with pytest.raises(PathDenied):
                await files.put(UploadHeader(str(folder / "x")), silent(b""))

    @pytest.mark.parametrize("workspace", ["in_folder"], indirect=True)
    async def test_a_link_that_leads_out(self, files: WorkspaceService, workspace: Workspace, tmp_path: Path) -> None:
        (workspace.root / "door").symlink_to(tmp_path)
        with pytest.raises(PathDenied):
            await files.put(UploadHeader("door/x"), silent(b""))

    async def test_folders_and_what_lies_below_files(self, files: WorkspaceService) -> None:
        await files.put(UploadHeader("folder/file"), pieces(b"1"))
        for path in ("folder", ".", "folder/file/x"):
            with pytest.raises(InvalidInput):
                await files.put(UploadHeader(path), silent(b""))

    @pytest.mark.parametrize(
        "wrong", [{"sha256": "abc"}, {"sha256": SHA256.upper()}, {"size": 10, "offset": 11, "sha256": SHA256}]
    )
    async def test_headers_that_make_no_sense(self, files: WorkspaceService, wrong: dict[str, int | str]) -> None:
        with pytest.raises(InvalidInput):
            await files.put(header(**wrong), silent(b""))


class TestAtOnce:
    @pytest.mark.parametrize("workspace", ["in_folder"], indirect=True)
    async def test_the_same_upload_twice_is_refused_and_the_first_goes_on(
        self, files: WorkspaceService, side: Any
    ) -> None:
        begun, go = asyncio.Event(), asyncio.Event()

        async def slow() -> AsyncIterator[bytes]:
            yield CUBE[: 1 << 20]
            begun.set()
            await go.wait()
            yield CUBE[1 << 20 :]

        first = asyncio.create_task(files.put(header(), slow()))
        await begun.wait()
        with pytest.raises(UploadActive) as raised:
            await files.put(header(), pieces(CUBE))
        assert raised.value.retry_after
        go.set()
        assert (await first).sha256 == SHA256
        assert side.get("data/cube.npz") == CUBE

    async def test_different_files_to_one_path_end_with_one_of_them_whole(
        self, files: WorkspaceService, side: Any
    ) -> None:
        contents = [bytes([number]) * 300_000 for number in range(8)]
        entries = await asyncio.gather(
            *(files.put(UploadHeader("file"), pieces(content, 50_000)) for content in contents)
        )
        assert [entry.sha256 for entry in entries] == [hashlib.sha256(content).hexdigest() for content in contents]
        assert side.get("file") in contents
        assert side.names() == ["file"]

    async def test_a_put_into_a_folder_that_is_removed_meanwhile(self, files: WorkspaceService, side: Any) -> None:
        for _ in range(20):
            await files.put(UploadHeader("a/b/old"), pieces(b"old"))
            await asyncio.gather(
                files.put(UploadHeader("a/b/new"), pieces(b"new")),
                files.delete("a", recursive=True),
                return_exceptions=True,
            )
            await files.put(UploadHeader("a/b/new"), pieces(b"new"))
            assert side.get("a/b/new") == b"new"

    async def test_a_cancelled_call_lets_go_of_its_upload(self, files: WorkspaceService) -> None:
        upload = asyncio.create_task(files.put(header(), silent(CUBE[: 1 << 20])))
        await asyncio.sleep(0.05)
        upload.cancel()
        await asyncio.wait([upload])
        offset, _ = await files.resume("data/cube.npz", SHA256)
        assert (await files.put(header(offset=offset), pieces(CUBE[offset:]))).sha256 == SHA256

    async def test_a_call_that_is_cancelled_while_it_fails_leaves_nothing(
        self, files: WorkspaceService, side: Any
    ) -> None:
        failing, busy = asyncio.Event(), threading.Event()

        async def fail() -> AsyncIterator[bytes]:
            yield CUBE
            # From here on no thread is free until the call has been cancelled.
            for _ in range(files._threads._max_workers):
                files._threads.submit(busy.wait)
            failing.set()
            raise InvalidInput("no more")

        upload = asyncio.create_task(files.put(UploadHeader("file"), fail()))
        await failing.wait()
        upload.cancel()
        await asyncio.wait([upload])
        busy.set()
        await files.stop()
        assert side.names() == []

    async def test_the_event_loop_is_never_held_up(self, files: WorkspaceService) -> None:
        longest = 0.0

        async def watch() -> None:
            nonlocal longest
            while True:
                before = time.perf_counter()
                await asyncio.sleep(0.001)
                longest = max(longest, time.perf_counter() - before)

        watcher = asyncio.create_task(watch())
        await files.put(UploadHeader("large"), pieces(CUBE * 20))
        watcher.cancel()
        assert longest < 0.5
