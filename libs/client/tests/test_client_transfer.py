"""Files on their way up and down, piece by piece."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from swath.client import Entry, LocalError, TransferError
from swath.client.workspace.transfer import CHUNK, Download, Upload, files_below
from swath.workspace.v1 import workspace_pb2 as wpb

DATA = os.urandom(2 * CHUNK + 5)
SHA256 = hashlib.sha256(DATA).hexdigest()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_an_entry_is_what_the_server_says_of_a_file() -> None:
    message = wpb.Entry(path="data/a.npz", kind=wpb.KIND_FILE, size=3, shipped=True, sha256="ab")
    message.modified.FromMilliseconds(1500)
    entry = Entry.of(message)
    assert entry == Entry("data/a.npz", folder=False, size=3, modified=1.5, shipped=True, sha256="ab")
    assert entry.name == "a.npz"


def test_a_folder_is_an_entry_too() -> None:
    assert Entry.of(wpb.Entry(path="data", kind=wpb.KIND_FOLDER)).folder


class TestUpload:
    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        (tmp_path / "cube.npz").write_bytes(DATA)
        return tmp_path / "cube.npz"

    def test_says_beforehand_what_will_come(self, file: Path) -> None:
        upload = Upload(file, "data/cube.npz")
        assert (upload.size, upload.sha256) == (len(DATA), SHA256)
        assert upload.resume_request() == wpb.ResumePutRequest(path="data/cube.npz", sha256=SHA256)
        assert upload.stat_request() == wpb.StatRequest(path="data/cube.npz", with_sha256=True)

    @pytest.mark.parametrize(("offset", "chunks"), [(0, [CHUNK, CHUNK, 5]), (CHUNK, [CHUNK, 5]), (len(DATA), [])])
    @pytest.mark.parametrize("kind", ["file", "bytes"])
    def test_sends_a_header_and_what_is_missing(self, file: Path, kind: str, offset: int, chunks: list[int]) -> None:
        upload = Upload(file if kind == "file" else DATA, "data/cube.npz")
        header, *rest = upload.messages(offset)
        assert header.header == wpb.PutHeader(path="data/cube.npz", size=len(DATA), sha256=SHA256, offset=offset)
        assert [len(message.chunk) for message in rest] == chunks
        assert b"".join(message.chunk for message in rest) == DATA[offset:]

    def test_of_an_empty_file_is_a_header_alone(self) -> None:
        [header] = Upload(b"", "empty").messages(0)
        assert header.header.size == 0

    def test_reports_bytes_as_they_are_taken(self, file: Path) -> None:
        seen: list[tuple[int, int]] = []
        upload = Upload(file, "data/cube.npz", lambda done, total: seen.append((done, total)))
        list(upload.messages(CHUNK))
        assert seen == [(done, len(DATA)) for done in (CHUNK, 2 * CHUNK, len(DATA))]

    def test_of_what_is_there_already_is_reported_as_done(self) -> None:
        seen: list[tuple[int, int]] = []
        Upload(b"abc", "a", lambda done, total: seen.append((done, total))).already_there()
        assert seen == [(3, 3)]

    def test_of_a_file_that_cannot_be_read_says_which(self, tmp_path: Path) -> None:
        with pytest.raises(LocalError, match=r"cannot read .*nowhere\.npz: No such file"):
            Upload(tmp_path / "nowhere.npz", "data/cube.npz")


class TestDownload:
    @pytest.fixture
    def to(self, tmp_path: Path) -> Path:
        return tmp_path / "new" / "cube.npz"

    @pytest.fixture
    def part(self, to: Path) -> Callable[[bytes], Path]:
        """Leaves a part file behind, as a broken download does."""

        def leave(data: bytes) -> Path:
            to.parent.mkdir()
            file = to.with_name("cube.npz.part")
            file.write_bytes(data)
            return file

        return leave

    def _header(self, data: bytes = DATA, **fields: str) -> wpb.GetResponse:
        entry = wpb.Entry(path="data/cube.npz", size=len(data), sha256=fields.get("sha256", _sha256(data)))
        return wpb.GetResponse(header=wpb.GetHeader(entry=entry))

    def test_arrives_in_pieces_and_is_whole_at_the_end(self, to: Path) -> None:
        with Download("data/cube.npz", to) as download:
            download.receive(self._header())
            for start in range(0, len(DATA), CHUNK):
                download.receive(wpb.GetResponse(chunk=DATA[start : start + CHUNK]))
            assert not to.exists()
            entry = download.finish()
        assert to.read_bytes() == DATA
        assert (entry.size, entry.sha256) == (len(DATA), SHA256)
        assert [each.name for each in to.parent.iterdir()] == ["cube.npz"]

    def test_goes_on_with_what_a_broken_one_left(self, to: Path, part: Callable[[bytes], Path]) -> None:
        part(DATA[:1000])
        with Download("data/cube.npz", to) as download:
            assert download.request() == wpb.GetRequest(path="data/cube.npz", offset=1000)
            download.receive(self._header())
            download.receive(wpb.GetResponse(chunk=DATA[1000:]))
            download.finish()
        assert to.read_bytes() == DATA

    def test_leaves_what_has_arrived_for_the_next_one(self, to: Path) -> None:
        with Download("data/cube.npz", to) as download:
            download.receive(self._header())
            download.receive(wpb.GetResponse(chunk=DATA[:1000]))
        assert to.with_name("cube.npz.part").read_bytes() == DATA[:1000]
        assert not to.exists()

    def test_leaves_nothing_where_nothing_arrived(self, to: Path) -> None:
        with Download("data/cube.npz", to):
            pass
        assert list(to.parent.iterdir()) == []

    def test_starts_anew_when_it_is_told_to(self, to: Path, part: Callable[[bytes], Path]) -> None:
        part(b"of another version")
        with Download("data/cube.npz", to) as download:
            download.restart()
            assert download.request().offset == 0
            download.receive(self._header(b"new"))
            download.receive(wpb.GetResponse(chunk=b"new"))
            download.finish()
        assert to.read_bytes() == b"new"

    @pytest.mark.parametrize("arrived", [b"abx", b"ab", b"abcd"])
    def test_that_is_damaged_never_takes_the_file_s_place(self, to: Path, arrived: bytes) -> None:
        with Download("data/cube.npz", to) as download:
            download.receive(self._header(b"abc"))
            download.receive(wpb.GetResponse(chunk=arrived))
            with pytest.raises(TransferError, match=f"arrived damaged: {len(arrived)} bytes, 3 expected"):
                download.finish()
        assert not to.exists()

    def test_without_a_checksum_is_held_to_its_size(self, to: Path) -> None:
        with Download("data/cube.npz", to) as download:
            download.receive(self._header(b"abc", sha256=""))
            download.receive(wpb.GetResponse(chunk=b"xyz"))
            download.finish()
        assert to.read_bytes() == b"xyz"

    def test_of_a_file_that_changes_meanwhile_is_given_up(self, to: Path) -> None:
        with Download("data/cube.npz", to) as download:
            download.receive(self._header(b"abc"))
            with pytest.raises(TransferError, match="changed on the server while it was being read"):
                download.receive(self._header(b"other"))

    def test_that_brings_nothing_is_no_file(self, to: Path) -> None:
        with Download("data/cube.npz", to) as download, pytest.raises(TransferError, match="the server sent nothing"):
            download.finish()

    def test_reports_bytes_once_it_is_known_how_many_there_are(self, to: Path) -> None:
        seen: list[tuple[int, int]] = []
        with Download("a", to, lambda done, total: seen.append((done, total))) as download:
            download.receive(wpb.GetResponse(chunk=b"a"))
            download.receive(self._header(b"abc"))
            download.receive(wpb.GetResponse(chunk=b"bc"))
        assert seen == [(1, 3), (3, 3)]

    def test_to_where_nothing_can_be_written_says_where(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with (
            pytest.raises(LocalError, match=r"cannot write .*file/cube\.npz"),
            Download("a", tmp_path / "file/cube.npz"),
        ):
            pass

    def test_is_for_a_with_statement(self, to: Path) -> None:
        with pytest.raises(LocalError, match="inside a with statement"):
            Download("a", to).request()


def test_a_folder_s_files_are_listed_in_order_and_hidden_ones_are_left_out(tmp_path: Path) -> None:
    for name in ("b.npz", "a/deep/c.npz", ".hidden", ".git/config", "a/.part"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    assert [relative for _, relative in files_below(tmp_path)] == ["a/deep/c.npz", "b.npz"]
