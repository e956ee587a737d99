"""``swath ls``, ``swath cp`` and ``swath rm`` against a real server."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from swath.client import Client
from swath.client.cli.files import remote_path
from swath_standalone.process import ServerProcess

from .conftest import Swath, refused, said

pytestmark = pytest.mark.xdist_group("client-server")


@pytest.fixture
def folder(client: Client) -> Iterator[str]:
    """A folder of the workspace with two files, removed after the test."""
    client.workspace.put(b"a" * 1500, "listed/a.bin")
    client.workspace.put(b"b", "listed/deep/b.bin")
    yield "listed"
    client.workspace.delete("listed", recursive=True)


class TestLs:
    def test_shows_size_time_and_path(self, swath: Swath, folder: str) -> None:
        head, first, second = said(swath("ls", folder))
        assert head.split() == ["size", "modified", "path"]
        assert re.fullmatch(r"1\.5 kB  \d{4}-\d\d-\d\d \d\d:\d\d  listed/a\.bin", first.strip())
        assert second.strip().endswith("listed/deep/")

    def test_shows_the_workspace_s_root_unless_it_is_told_where(self, swath: Swath, folder: str) -> None:
        paths = [line.split()[-1] for line in said(swath("ls"))]
        assert {"configs/", "data/", "listed/"} <= set(paths)

    def test_descends_when_it_is_told_to(self, swath: Swath, folder: str) -> None:
        assert said(swath("ls", "-r", f":{folder}"))[-1].split()[-1] == "listed/deep/b.bin"

    def test_shows_checksums_whole(self, swath: Swath, folder: str) -> None:
        [line] = [line for line in said(swath("ls", "--sha256", folder)) if "a.bin" in line]
        assert line.split()[-1] == hashlib.sha256(b"a" * 1500).hexdigest()

    def test_shows_long_paths_whole(self, swath: Swath, client: Client, folder: str) -> None:
        path = f"{folder}/{'long' * 30}/{'name' * 30}.bin"
        client.workspace.put(b"", path)
        assert said(swath("ls", "-r", folder))[-1].split()[-1] == path

    def test_prints_whole_lines_into_a_pipe(self, server: ServerProcess, client: Client, folder: str) -> None:
        path = f"{folder}/{'long' * 30}/{'name' * 30}.bin"
        client.workspace.put(b"a" * 1500, path)
        code = "from swath.client.cli import main; main()"
        command = [sys.executable, "-c", code, "ls", "-r", folder, "--target", server.target]
        environment = {**os.environ, "COLUMNS": "80"}
        printed = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
        line = printed.splitlines()[-1].strip()
        assert re.fullmatch(rf"1\.5 kB  \d{{4}}-\d\d-\d\d \d\d:\d\d  {path}", line)

    def test_gives_json_to_programs(self, swath: Swath, folder: str) -> None:
        first, second, third = map(json.loads, said(swath("ls", "-r", folder, "--json", "--sha256")))
        assert first["modified"] > 1e9
        assert {**first, "modified": 0} == {
            "path": "listed/a.bin",
            "folder": False,
            "size": 1500,
            "modified": 0,
            "shipped": False,
            "sha256": hashlib.sha256(b"a" * 1500).hexdigest(),
        }
        assert (second["path"], second["folder"], third["path"]) == ("listed/deep", True, "listed/deep/b.bin")

    def test_marks_what_came_with_the_server(self, swath: Swath) -> None:
        lines = said(swath("ls", "configs/trainrun"))
        assert [line.endswith("(shipped)") for line in lines if "rx_statistical" in line] == [True]
        assert [line.endswith("(shipped)") for line in lines if "tiny_rx" in line] == [False]


class TestCp:
    def test_sends_a_file(self, swath: Swath, client: Client, folder: str, tmp_path: Path) -> None:
        (tmp_path / "c.bin").write_bytes(b"c" * 2000)
        [line] = said(swath("cp", tmp_path / "c.bin", f"swath:{folder}/renamed.bin"))
        assert line == f"{tmp_path}/c.bin -> swath:{folder}/renamed.bin  2.0 kB"
        assert client.workspace.read(f"{folder}/renamed.bin") == b"c" * 2000

    def test_puts_a_file_into_a_folder_that_ends_in_a_slash(
        self, swath: Swath, client: Client, folder: str, tmp_path: Path
    ) -> None:
        (tmp_path / "c.bin").write_bytes(b"c")
        said(swath("cp", tmp_path / "c.bin", f":{folder}/"))
        assert client.workspace.read(f"{folder}/c.bin") == b"c"

    def test_sends_a_folder_without_what_is_hidden(
        self, swath: Swath, client: Client, folder: str, tmp_path: Path
    ) -> None:
        for name in ("up/one.bin", "up/deep/two.bin", "up/.hidden"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(name)
        assert len(said(swath("cp", tmp_path / "up", f":{folder}/"))) == 2
        sent = {entry.path for entry in client.workspace.list(f"{folder}/up", recursive=True) if not entry.folder}
        assert sent == {f"{folder}/up/one.bin", f"{folder}/up/deep/two.bin"}

    def test_fetches_a_file_under_another_name(self, swath: Swath, folder: str, tmp_path: Path) -> None:
        [line] = said(swath("cp", f":{folder}/deep/b.bin", tmp_path / "new" / "c.bin"))
        assert line == f"swath:listed/deep/b.bin -> {tmp_path}/new/c.bin  1 byte"
        assert (tmp_path / "new" / "c.bin").read_bytes() == b"b"

    def test_fetches_a_file_into_a_folder_that_is_there(self, swath: Swath, folder: str, tmp_path: Path) -> None:
        said(swath("cp", f":{folder}/deep/b.bin", tmp_path))
        assert (tmp_path / "b.bin").read_bytes() == b"b"

    def test_fetches_a_folder_with_all_that_it_holds(self, swath: Swath, folder: str, tmp_path: Path) -> None:
        said(swath("cp", f"swath:{folder}", tmp_path / "down"))
        assert (tmp_path / "down" / "a.bin").read_bytes() == b"a" * 1500
        assert (tmp_path / "down" / "deep" / "b.bin").read_bytes() == b"b"

    @pytest.mark.parametrize(
        ("source", "destination", "message"),
        [
            (":here", "swath:there", "one of SRC and DST must be on the server"),
            ("nowhere.bin", ":there", "no such file or folder: nowhere.bin"),
            (":nowhere.bin", "there", "nowhere.bin"),
        ],
    )
    def test_of_what_cannot_be_copied_fails(self, swath: Swath, source: str, destination: str, message: str) -> None:
        assert message in refused(swath("cp", source, destination))

    def test_of_an_empty_folder_is_no_success(self, swath: Swath, tmp_path: Path) -> None:
        (tmp_path / "empty").mkdir()
        assert "holds no files" in refused(swath("cp", tmp_path / "empty", ":empty"))


class TestRm:
    def test_removes_a_file(self, swath: Swath, client: Client, folder: str) -> None:
        assert said(swath("rm", f"swath:{folder}/a.bin")) == [f"removed swath:{folder}/a.bin: 1 entry"]
        assert [entry.name for entry in client.workspace.list(folder)] == ["deep"]

    def test_removes_a_folder_only_when_it_is_told_to(self, swath: Swath, folder: str) -> None:
        assert "FOLDER_NOT_EMPTY" in refused(swath("rm", f"{folder}/deep"))
        assert said(swath("rm", "-r", f"{folder}/deep")) == [f"removed swath:{folder}/deep: 2 entries"]

    def test_of_what_came_with_the_server_fails(self, swath: Swath) -> None:
        assert "rx_statistical" in refused(swath("rm", "configs/trainrun/rx_statistical.yaml"))


@pytest.mark.parametrize(
    ("written", "path"),
    [("data/a", "data/a"), ("swath:data/a", "data/a"), (":data/a", "data/a"), (":/data", "data"), (":", ""), ("", "")],
)
def test_a_path_of_the_server_may_be_written_in_two_ways_or_plainly(written: str, path: str) -> None:
    assert remote_path(written) == path
