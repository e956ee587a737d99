"""Bundles: what goes in, what is refused on its way out, and one name for the same files."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from swath.errors import FileMissing, InvalidInput, PathDenied, SwathError, TooLarge
from swath.serve.bundles import digest_of, names, pack, packing, unpack, unpacked, unpacking


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A folder with code, and with what is none."""
    root = tmp_path / "code"
    for name, text in {
        "greeter.py": "app = 1\n",
        "protos/user_pb2.py": "# generated\n",
        "__pycache__/greeter.cpython-311.pyc": "x",
        ".git/config": "x",
        ".venv/bin/python": "x",
        ".env": "TOKEN=secret",
        "data/big.bin": "x",
        "data/small.txt": "kept",
        ".gitignore": "*.bin\n/build/\n",
        "build/out.txt": "x",
        "protos/build/kept.txt": "kept",
        "protos/.swathignore": "*.tmp\n",
        "protos/a.tmp": "x",
        "b.tmp": "kept",
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def _names(data: bytes) -> set[str]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return set(archive.getnames())


KEPT = {
    *("greeter.py", "protos/user_pb2.py", "data/small.txt", ".gitignore", "protos/build/kept.txt"),
    *("protos/.swathignore", "b.tmp"),
}


def test_a_bundle_holds_the_code_and_leaves_out_what_is_none(code: Path) -> None:
    assert _names(pack(code)) == KEPT


def test_the_same_files_are_the_same_bundle(code: Path) -> None:
    first = pack(code)
    os.utime(code / "greeter.py", (1, 1))
    assert pack(code) == first
    (code / "greeter.py").write_text("app = 2\n")
    assert digest_of(pack(code)) != digest_of(first)


def test_what_is_packed_is_unpacked(code: Path, tmp_path: Path) -> None:
    (code / "run.sh").write_text("#!/bin/sh\n")
    (code / "run.sh").chmod(0o755)
    data = pack(code)
    into = tmp_path / "into"
    into.mkdir()
    assert unpack(data, into) == len(KEPT) + 1
    assert (into / "greeter.py").read_text() == "app = 1\n"
    assert os.access(into / "run.sh", os.X_OK)
    assert not os.access(into / "greeter.py", os.X_OK)


def test_a_module_alone_and_modules_beside(code: Path, tmp_path: Path) -> None:
    assert _names(pack(code / "greeter.py")) == {"greeter.py"}
    library = tmp_path / "library"
    library.mkdir()
    (library / "__init__.py").touch()
    assert _names(pack(code / "greeter.py", [library])) == {"greeter.py", "library/__init__.py"}


def test_an_unpacked_bundle_is_there_once(code: Path, tmp_path: Path) -> None:
    data = pack(code)
    place = unpacked(data, digest_of(data), tmp_path / "cache")
    (place / "greeter.py").write_text("touched")
    assert unpacked(data, digest_of(data), tmp_path / "cache") == place
    assert (place / "greeter.py").read_text() == "touched"
    assert [each.name for each in (tmp_path / "cache").iterdir()] == [place.name]


def test_links_stay_within_the_folder(code: Path, tmp_path: Path) -> None:
    (code / "same.py").symlink_to(code / "greeter.py")
    assert "same.py" in _names(pack(code))
    (tmp_path / "secret").write_text("x")
    (code / "out.py").symlink_to(tmp_path / "secret")
    with pytest.raises(PathDenied, match=r"out\.py is a link that leads out of"):
        pack(code)


def test_a_bundle_of_nothing(code: Path, tmp_path: Path) -> None:
    with pytest.raises(FileMissing, match="no such folder or file to bundle"):
        pack(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileMissing, match="no file is left"):
        pack(tmp_path / "empty")


def test_limits_name_the_largest_file(code: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packing, "MAX_FILES", 3)
    with pytest.raises(TooLarge, match="has 7 files, more than 3"):
        pack(code)
    monkeypatch.setattr(packing, "MAX_FILES", 100)
    (code / "weights.dat").write_bytes(os.urandom(2 << 20))
    monkeypatch.setattr(packing, "MAX_BYTES", 1 << 20)
    with pytest.raises(TooLarge, match=r"MiB packed, more than 1 MiB: .*weights\.dat, 2 MiB"):
        pack(code)


def _archive(*members: tuple[str, bytes], kind: bytes = tarfile.REGTYPE, link: str = "") -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as archive:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            entry.size, entry.type, entry.linkname = len(content), kind, link
            archive.addfile(entry, io.BytesIO(content))
    return made.getvalue()


@pytest.mark.parametrize(
    ("data", "error", "text"),
    [
        (lambda: _archive(("../out.py", b"x")), PathDenied, "stays within the bundle"),
        (lambda: _archive(("a/../../out.py", b"x")), PathDenied, "stays within the bundle"),
        (lambda: _archive(("/etc/passwd", b"x")), PathDenied, "relative to the bundle"),
        (lambda: _archive(("a\\b.py", b"x")), PathDenied, "separated by '/'"),
        (lambda: _archive(("a\nb.py", b"x")), PathDenied, "without control characters"),
        (lambda: _archive(("a//b.py", b"x")), PathDenied, "a name for each folder"),
        (lambda: _archive(("x" * 300, b"x")), PathDenied, "255 per part"),
        (lambda: _archive(("a", b""), kind=tarfile.SYMTYPE, link="/etc/passwd"), PathDenied, "a link or a device"),
        (lambda: _archive(("a", b""), kind=tarfile.LNKTYPE, link="b"), PathDenied, "a link or a device"),
        (lambda: _archive(("a", b""), kind=tarfile.CHRTYPE), PathDenied, "a link or a device"),
        (lambda: _archive(("a", b"1"), ("a", b"2")), InvalidInput, "'a' twice"),
        (lambda: _archive(("a", b"1"), ("a/b", b"2")), InvalidInput, "'a' as a file and as a folder"),
        (lambda: b"no archive", InvalidInput, "cannot be unpacked"),
        (lambda: b"", InvalidInput, "cannot be unpacked"),
        (lambda: gzip.compress(b"no tar" * 1000), InvalidInput, "cannot be unpacked"),
        (lambda: _archive(("a", b"x" * 100_000))[:-20], InvalidInput, "cannot be unpacked"),
        (lambda: _archive(("a", b"x")) + b"more", InvalidInput, "something follows its end"),
    ],
)
def test_strangers_archives_write_nothing(
    tmp_path: Path, data: Callable[[], bytes], error: type[SwathError], text: str
) -> None:
    into = tmp_path / "into"
    into.mkdir()
    with pytest.raises(error, match=text):
        unpack(data(), into)
    assert list(tmp_path.rglob("*")) == [into]
    with pytest.raises(error):
        unpacked(data(), "sha256:" + "0" * 64, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_bomb_is_stopped_before_it_is_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "MAX_UNPACKED_BYTES", 1 << 20)
    monkeypatch.setattr(unpacking, "_OVERHEAD_BYTES", 1 << 20)
    bomb = _archive(("zeros", bytes(64 << 20)))
    assert len(bomb) < 1 << 20
    with pytest.raises(TooLarge, match="more than 1 MiB"):
        unpack(bomb, tmp_path)
    assert not list(tmp_path.iterdir())


def test_names_of_files() -> None:
    assert names.checked_name("a/b c/ü.py") == "a/b c/ü.py"
