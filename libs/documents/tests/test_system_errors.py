"""What the operating system refuses, as clients are told."""

from __future__ import annotations

import errno
import os

import pytest

from swath.errors import InvalidInput, path_error, system_error

SECRET = "/var/lib/swath/state/secret"


@pytest.mark.parametrize(
    ("number", "code", "reason"),
    [
        (errno.ENOSPC, "RESOURCE_EXHAUSTED", "STORAGE_REFUSED"),
        (errno.EDQUOT, "RESOURCE_EXHAUSTED", "STORAGE_REFUSED"),
        (errno.EFBIG, "RESOURCE_EXHAUSTED", "STORAGE_REFUSED"),
        (errno.ENOMEM, "RESOURCE_EXHAUSTED", "RESOURCE_EXHAUSTED"),
        (errno.EMFILE, "UNAVAILABLE", "UNAVAILABLE"),
        (errno.ENFILE, "UNAVAILABLE", "UNAVAILABLE"),
        (errno.EACCES, "FAILED_PRECONDITION", "STORAGE_DENIED"),
        (errno.EROFS, "FAILED_PRECONDITION", "STORAGE_DENIED"),
        (errno.EIO, "FAILED_PRECONDITION", "STORAGE_DENIED"),
        (errno.ENAMETOOLONG, "PERMISSION_DENIED", "PATH_DENIED"),
    ],
)
@pytest.mark.parametrize("wrapped", [False, True])
def test_each_number_has_its_status_and_no_path(number: int, code: str, reason: str, wrapped: bool) -> None:
    error: Exception = OSError(number, os.strerror(number), SECRET)
    if wrapped:
        try:
            raise RuntimeError("writing failed") from error
        except RuntimeError as outer:
            error = outer
    refused = system_error(error, "'scene.npz'")
    assert refused is not None
    assert (refused.code, refused.reason) == (code, reason)
    assert "'scene.npz'" in refused.message
    assert SECRET not in refused.message


def test_other_errors_stay_what_they_are() -> None:
    assert system_error(ValueError("no")) is None
    assert system_error(FileNotFoundError(errno.ENOENT, "no")) is None


def test_a_path_of_a_client_may_lead_to_a_folder() -> None:
    refused = path_error(IsADirectoryError(errno.EISDIR, "no", SECRET), "'a'")
    assert isinstance(refused, InvalidInput)
    assert refused.message == "'a' is a folder"
