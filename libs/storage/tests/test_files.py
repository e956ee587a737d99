"""What a client is told when the system refuses a write."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from swath.errors import InvalidInput, PathDenied, StorageDenied, StorageRefused, SwathError
from swath.storage.files import replace_files, storage_errors


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.ENOSPC, StorageRefused),
        (errno.EDQUOT, StorageRefused),
        (errno.EACCES, StorageDenied),
        (errno.EROFS, StorageDenied),
        (errno.ENAMETOOLONG, PathDenied),
        (errno.ENOTDIR, InvalidInput),
    ],
)
def test_refusals_have_names(number: int, expected: type[SwathError]) -> None:
    with pytest.raises(expected, match="the weights"), storage_errors("the weights"):
        raise OSError(number, "no")


def test_what_is_no_refusal_stays_what_it_is() -> None:
    with pytest.raises(FileNotFoundError), storage_errors("the weights"):
        raise FileNotFoundError(errno.ENOENT, "no")


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "new" / "file"
    replace_files({target: b"old"})
    with target.open("rb") as reader:
        replace_files({target: b"new"})
        assert (reader.read(), target.read_bytes()) == (b"old", b"new")
