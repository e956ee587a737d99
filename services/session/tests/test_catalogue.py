"""Files of the workspace as clients see them."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from swath.errors import FileChanged, FileMissing, FolderNotEmpty, InvalidInput, PathDenied
from swath.storage.workspace.folder import Workspace
from swath_session import WorkspaceService
from swath_session.workspace.model import Entry

Write = Callable[..., None]


@pytest.fixture(params=["in_folder", "in_bucket"])
def workspace(request: pytest.FixtureRequest) -> Workspace:
    """A workspace of either kind."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def write(side: Any) -> Write:
    """Writes a file into the workspace past the server."""
    return lambda name, data=b"data": side.put(name, data)


async def got(files: WorkspaceService, path: str, offset: int = 0, length: int | None = None) -> tuple[Entry, bytes]:
    first, *rest = [part async for part in files.get(path, offset, length)]
    assert isinstance(first, Entry)
    return first, b"".join(part for part in rest if isinstance(part, bytes))


async def names(files: WorkspaceService, path: str = "", *, recursive: bool = True) -> list[str]:
    entries, _ = await files.page(path, recursive=recursive)
    return [entry.path + "/" * entry.folder + "*" * entry.shipped for entry in entries]


class TestGet:
    async def test_a_file_with_its_size_and_sha256(self, files: WorkspaceService, write: Write) -> None:
        data = os.urandom(2_500_000)
        write("data/cube", data)
        entry, received = await got(files, "data/cube")
        assert (entry.path, entry.size, entry.sha256) == ("data/cube", len(data), hashlib.sha256(data).hexdigest())
        assert received == data

    @pytest.mark.parametrize(("offset", "length", "expected"), [(2, None, b"cdef"), (2, 3, b"cde"), (6, None, b"")])
    async def test_a_part_of_it(
        self, files: WorkspaceService, write: Write, offset: int, length: int | None, expected: bytes
    ) -> None:
        write("file", b"abcdef")
        entry, received = await got(files, "file", offset, length)
        assert (entry.size, received) == (6, expected)

    async def test_nothing_beyond_its_end(self, files: WorkspaceService, write: Write) -> None:
        write("file", b"abcdef")
        with pytest.raises(InvalidInput, match="6 bytes"):
            await got(files, "file", 7)

    async def test_shipped_configs_can_be_read(self, files: WorkspaceService, workspace: Workspace) -> None:
        for path in ("configs/pipeline/rx.yaml", str(workspace.configs / "pipeline/rx.yaml")):
            entry, received = await got(files, path)
            assert (entry.path, entry.shipped, received) == ("configs/pipeline/rx.yaml", True, b"shipped")

    async def test_one_version_of_a_file_that_is_replaced_meanwhile(
        self, files: WorkspaceService, write: Write, workspace: Workspace
    ) -> None:
        write("file", bytes(3 << 20))
        parts = files.get("file")
        await anext(parts)
        await asyncio.to_thread(workspace.write, "file", b"new")
        assert b"".join([part async for part in parts if isinstance(part, bytes)]) == bytes(3 << 20)

    @pytest.mark.parametrize("workspace", ["in_folder"], indirect=True)
    async def test_a_file_that_is_written_into_meanwhile(self, files: WorkspaceService, write: Write) -> None:
        write("file", bytes(3 << 20))
        parts = files.get("file")
        await anext(parts)
        write("file", b"short")
        with pytest.raises(FileChanged):
            [part async for part in parts]

    async def test_the_sha256_follows_every_change(self, files: WorkspaceService, write: Write) -> None:
        for data in (b"one", b"two", b"six"):
            write("file", data)
            assert (await files.stat("file", with_sha256=True)).sha256 == hashlib.sha256(data).hexdigest()

    @pytest.mark.parametrize("workspace", ["in_folder"], indirect=True)
    async def test_what_is_no_file(self, files: WorkspaceService, workspace: Workspace) -> None:
        os.mkfifo(workspace.root / "pipe")
        for path in ("pipe", ".", "configs"):
            with pytest.raises(InvalidInput):
                await got(files, path)

    @pytest.mark.parametrize("path", ["missing", "configs/missing.yaml", "configs/pipeline/rx.yaml/x"])
    async def test_what_is_not_there(self, files: WorkspaceService, path: str) -> None:
        with pytest.raises(FileMissing):
            await got(files, path)

    @pytest.mark.parametrize("path", ["../shipped/pipeline/rx.yaml", "/etc/passwd", ".swath-uploads", "a\0b"])
    async def test_paths_that_leave(self, files: WorkspaceService, path: str) -> None:
        for call in (got(files, path), files.stat(path), files.page(path), files.delete(path)):
            with pytest.raises(PathDenied):
                await call

    @pytest.mark.parametrize("workspace", ["in_folder"], indirect=True)
    async def test_links_that_leave(self, files: WorkspaceService, workspace: Workspace) -> None:
        (workspace.root / "key").symlink_to("/etc/passwd")
        for call in (got(files, "key"), files.stat("key"), files.page("key")):
            with pytest.raises(PathDenied):
                await call

    async def test_allowed_folders_are_not_in_the_workspace(
        self, files: WorkspaceService, workspace: Workspace
    ) -> None:
        (workspace.allow_roots[0] / "file").touch()
        with pytest.raises(PathDenied):
            await got(files, str(workspace.allow_roots[0] / "file"))


class TestPage:
    async def test_names_in_order_each_folder_before_what_it_holds(self, files: WorkspaceService, write: Write) -> None:
        for name in ("b", "a/z", "a/b/c", "a.txt"):
            write(name)
        assert await names(files) == [
            *("a.txt", "a/", "a/b/", "a/b/c", "a/z", "b", "configs/*", "configs/pipeline/*"),
            "configs/pipeline/rx.yaml*",
        ]
        assert await names(files, recursive=False) == ["a.txt", "a/", "b", "configs/*"]
        assert await names(files, "a") == ["a/b/", "a/b/c", "a/z"]
        assert await names(files, "a/z") == ["a/z"]

    async def test_the_own_layer_of_the_configs_lies_over_the_shipped_one(
        self, files: WorkspaceService, write: Write, workspace: Workspace
    ) -> None:
        (workspace.configs / "pipeline" / "svdd.yaml").touch()
        write("configs/pipeline/rx.yaml")
        expected = ["configs/pipeline/", "configs/pipeline/rx.yaml", "configs/pipeline/svdd.yaml*"]
        assert await names(files, "configs") == expected
        assert await names(files, str(workspace.configs)) == expected

    @pytest.mark.parametrize("most", [1, 2, 3, 100])
    async def test_pages_join_without_gap_or_overlap(self, files: WorkspaceService, write: Write, most: int) -> None:
        for number in range(3):
            for folder in ("a", "a/b", "a-b", "c"):
                write(f"{folder}/{number}")
        joined: list[str] = []
        after = ""
        while True:
            entries, after = await files.page(recursive=True, most=most, after=after)
            assert len(entries) <= most
            joined += [entry.path for entry in entries]
            if not after:
                break
        whole, _ = await files.page(recursive=True)
        assert joined == [entry.path for entry in whole]
        assert len(joined) == len(set(joined)) == 12 + 4 + 3

    async def test_digests_where_they_are_asked_for(self, files: WorkspaceService, write: Write) -> None:
        write("a/file", b"data")
        folder, file = (await files.page("", recursive=True, with_sha256=True))[0][:2]
        assert (folder.sha256, file.sha256) == (None, hashlib.sha256(b"data").hexdigest())

    @pytest.mark.parametrize("workspace", ["in_folder"], indirect=True)
    async def test_links_are_shown_only_where_they_stay(
        self, files: WorkspaceService, write: Write, workspace: Workspace
    ) -> None:
        write("a/file")
        (workspace.root / "a" / "circle").symlink_to(workspace.root)
        (workspace.root / "a" / "door").symlink_to("/etc")
        (workspace.root / "a" / "broken").symlink_to("nowhere")
        assert await names(files, "a") == ["a/circle/", "a/file"]

    async def test_uploads_under_way_are_not_shown(self, files: WorkspaceService, write: Write) -> None:
        write(".swath-uploads/x")
        assert await names(files, recursive=False) == ["configs/*"]


class TestDelete:
    async def test_a_file(self, files: WorkspaceService, write: Write) -> None:
        write("a/file")
        assert await files.delete("a/file") == 1
        with pytest.raises(FileMissing):
            await files.stat("a/file")

    async def test_a_folder_that_holds_something_only_if_it_is_meant_with_all_that(
        self, files: WorkspaceService, write: Write
    ) -> None:
        write("a/b/c")
        write("a-b")
        with pytest.raises(FolderNotEmpty):
            await files.delete("a")
        assert await files.delete("a", recursive=True) == 3
        assert await names(files, recursive=False) == ["a-b", "configs/*"]

    @pytest.mark.parametrize("workspace", ["in_folder"], indirect=True)
    async def test_an_empty_folder(self, files: WorkspaceService, workspace: Workspace) -> None:
        (workspace.root / "empty").mkdir()
        assert await files.delete("empty") == 1

    @pytest.mark.parametrize("workspace", ["in_folder"], indirect=True)
    async def test_links_go_and_what_they_lead_to_stays(
        self, files: WorkspaceService, write: Write, workspace: Workspace, tmp_path: Path
    ) -> None:
        (tmp_path / "precious").touch()
        write("kept/file")
        write("a/file")
        (workspace.root / "a" / "door").symlink_to(tmp_path)
        (workspace.root / "link").symlink_to(workspace.root / "kept")
        assert await files.delete("a", recursive=True) == 3
        assert await files.delete("link", recursive=True) == 1
        assert (tmp_path / "precious").exists()
        assert (workspace.root / "kept/file").exists()

    async def test_an_own_config_shows_the_shipped_one_again(self, files: WorkspaceService, write: Write) -> None:
        write("configs/pipeline/rx.yaml", b"own")
        await files.delete("configs/pipeline/rx.yaml")
        assert (await got(files, "configs/pipeline/rx.yaml"))[1] == b"shipped"

    async def test_shipped_configs_stay(self, files: WorkspaceService, workspace: Workspace) -> None:
        for path in ("configs", "configs/pipeline/rx.yaml", str(workspace.configs / "pipeline")):
            with pytest.raises(PathDenied):
                await files.delete(path, recursive=True)

    @pytest.mark.parametrize("path", ["", ".", "/", "a/.."])
    async def test_the_root_stays(self, files: WorkspaceService, workspace: Workspace, path: str) -> None:
        with pytest.raises((InvalidInput, PathDenied)):
            await files.delete(path, recursive=True)
        with pytest.raises((InvalidInput, PathDenied)):
            await files.delete(str(workspace.root), recursive=True)
        assert await names(files, recursive=False) == ["configs/*"]

    async def test_two_at_once_remove_it_once(self, files: WorkspaceService, write: Write) -> None:
        for number in range(200):
            write(f"a/{number % 7}/{number}")
        outcomes = await asyncio.gather(*(files.delete("a", recursive=True) for _ in range(2)), return_exceptions=True)
        assert all(isinstance(outcome, int | FileMissing) for outcome in outcomes), outcomes
        with pytest.raises(FileMissing):
            await files.stat("a")

    async def test_nothing_there(self, files: WorkspaceService) -> None:
        with pytest.raises(FileMissing):
            await files.delete("missing", recursive=True)
