"""Files on a real server, by the blocking and the asyncio client."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from swath.client import (
    AsyncClient,
    CallError,
    Client,
    InvalidArgumentError,
    LocalError,
    NotFoundError,
    PermissionDeniedError,
    PreconditionError,
)
from swath_standalone.process import ServerProcess

pytestmark = pytest.mark.xdist_group("client-server")

DATA = os.urandom(2_500_000)
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def folder(client: Client) -> Iterator[str]:
    """A folder of the workspace with three files, removed after the test."""
    for name in ("b.bin", "a.bin", "deep/c.bin"):
        client.workspace.put(name.encode(), f"files/{name}")
    yield "files"
    client.workspace.delete("files", recursive=True)


def test_a_file_goes_up_and_comes_down_unchanged(client: Client, folder: str, tmp_path: Path) -> None:
    (tmp_path / "up.bin").write_bytes(DATA)
    entry = client.workspace.put(tmp_path / "up.bin", f"{folder}/data.bin")
    assert (entry.path, entry.size, entry.sha256, entry.folder) == (f"{folder}/data.bin", len(DATA), SHA256, False)
    assert client.workspace.get(f"{folder}/data.bin", tmp_path / "new" / "down.bin").sha256 == SHA256
    assert (tmp_path / "new" / "down.bin").read_bytes() == DATA


async def test_a_file_goes_up_and_comes_down_by_asyncio(aio: AsyncClient, folder: str, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    async with aio:
        entry = await aio.workspace.put(DATA, f"{folder}/data.bin")
        await aio.workspace.get(entry.path, tmp_path / "down.bin", lambda done, total: seen.append((done, total)))
        assert (await aio.workspace.stat(entry.path, sha256=True)).sha256 == SHA256
    assert (tmp_path / "down.bin").read_bytes() == DATA
    assert seen[-1] == (len(DATA), len(DATA))


async def test_what_is_there_already_is_not_sent_by_asyncio_either(aio: AsyncClient, folder: str) -> None:
    seen: list[int] = []
    async with aio:
        for _ in range(2):
            await aio.workspace.put(DATA, f"{folder}/data.bin", lambda done, _: seen.append(done))
    assert seen == [0, 1 << 20, 2 << 20, len(DATA), len(DATA)]


def test_a_small_file_is_read_whole(client: Client, folder: str) -> None:
    assert client.workspace.read(f"{folder}/deep/c.bin") == b"deep/c.bin"


def test_a_folder_is_listed_in_order(client: Client, folder: str) -> None:
    listed = list(client.workspace.list(folder))
    assert [(entry.name, entry.folder, entry.size) for entry in listed] == [
        ("a.bin", False, 5),
        ("b.bin", False, 5),
        ("deep", True, 0),
    ]
    assert {entry.sha256 for entry in listed} == {""}


async def test_a_folder_is_listed_with_all_below_it(aio: AsyncClient, folder: str) -> None:
    async with aio:
        listed = [entry async for entry in aio.workspace.list(folder, recursive=True, sha256=True)]
    assert [entry.path for entry in listed if not entry.folder] == [
        f"{folder}/a.bin",
        f"{folder}/b.bin",
        f"{folder}/deep/c.bin",
    ]
    assert listed[0].sha256 == hashlib.sha256(b"a.bin").hexdigest()


def test_a_list_of_many_pages_is_one_list(client: Client, folder: str, server: ServerProcess) -> None:
    names = [f"{number:04d}" for number in range(1010)]
    here = server.state / "workspace" / folder / "many"
    here.mkdir()
    for name in names:
        (here / name).touch()
    assert [entry.name for entry in client.workspace.list(f"{folder}/many")] == names


def test_shipped_configs_are_marked_as_such(client: Client) -> None:
    shipped = {entry.name: entry.shipped for entry in client.workspace.list("configs/trainrun")}
    assert shipped["rx_statistical.yaml"]
    assert not shipped["tiny_rx.yaml"]


def test_files_and_folders_are_deleted(client: Client, folder: str) -> None:
    assert client.workspace.delete(f"{folder}/a.bin") == 1
    with pytest.raises(PreconditionError, match="not empty"):
        client.workspace.delete(f"{folder}/deep")
    assert client.workspace.delete(f"{folder}/deep", recursive=True) == 2
    assert [entry.name for entry in client.workspace.list(folder)] == ["b.bin"]


async def test_files_are_deleted_by_asyncio(aio: AsyncClient, folder: str) -> None:
    async with aio:
        assert await aio.workspace.delete(f"{folder}/a.bin") == 1
        assert await aio.workspace.read(f"{folder}/b.bin") == b"b.bin"


@pytest.mark.parametrize(
    ("path", "error"),
    [("nowhere.bin", NotFoundError), ("../outside.bin", PermissionDeniedError), ("", InvalidArgumentError)],
)
def test_what_cannot_be_read_is_refused_and_leaves_no_part(
    client: Client, path: str, error: type[CallError], tmp_path: Path
) -> None:
    with pytest.raises(error):
        client.workspace.get(path, tmp_path / "down.bin")
    assert os.listdir(tmp_path) == []


async def test_what_cannot_be_read_is_refused_by_asyncio(aio: AsyncClient, tmp_path: Path) -> None:
    async with aio:
        with pytest.raises(NotFoundError, match=r"nowhere\.bin"):
            await aio.workspace.get("nowhere.bin", tmp_path / "down.bin")
        with pytest.raises(NotFoundError):
            await aio.workspace.stat("nowhere.bin")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("path", ["../outside.bin", "/etc/outside.bin"])
def test_nothing_is_written_outside_of_the_workspace(client: Client, path: str) -> None:
    with pytest.raises(PermissionDeniedError):
        client.workspace.put(b"data", path)


def test_a_file_that_is_not_here_is_not_sent(client: Client, tmp_path: Path) -> None:
    with pytest.raises(LocalError, match=r"cannot read .*nowhere\.bin"):
        client.workspace.put(tmp_path / "nowhere.bin", "files/nowhere.bin")


@pytest.mark.parametrize(
    "part", [DATA[:1_000_000], b"of another file" * 200_000, b"short"], ids=["begun", "long", "other"]
)
def test_a_part_of_a_file_is_gone_on_with_or_given_up(client: Client, folder: str, tmp_path: Path, part: bytes) -> None:
    client.workspace.put(DATA, f"{folder}/data.bin")
    (tmp_path / "down.bin.part").write_bytes(part)
    client.workspace.get(f"{folder}/data.bin", tmp_path / "down.bin")
    assert (tmp_path / "down.bin").read_bytes() == DATA
    assert [each.name for each in tmp_path.iterdir()] == ["down.bin"]


async def test_a_part_of_another_file_is_given_up_by_asyncio_too(aio: AsyncClient, folder: str, tmp_path: Path) -> None:
    (tmp_path / "down.bin.part").write_bytes(b"of another")
    async with aio:
        await aio.workspace.get(f"{folder}/a.bin", tmp_path / "down.bin")
    assert (tmp_path / "down.bin").read_bytes() == b"a.bin"
