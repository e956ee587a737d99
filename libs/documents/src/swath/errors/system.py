"""Errors of the operating system, by their number, as errors of the tree: one rule for all that Swath does."""

from __future__ import annotations

import errno
import os

from swath.errors.base import SwathError
from swath.errors.request import InvalidInput, PathDenied, StorageDenied
from swath.errors.serving import Exhausted, StorageRefused, Unavailable

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO}
_FILES = {errno.EMFILE, errno.ENFILE}


def system_error(error: BaseException, what: str = "what the call needs") -> SwathError | None:
    """Return the error that a client gets where the system refused something; None for an error of another kind.

    No text names a path of the server: `what` says what it was about in the client's own terms.

    Args:
        error: What was raised. The number is also looked for in its cause.
        what: What was written or read.
    """
    found: BaseException | None = error
    while found is not None and not (isinstance(found, OSError) and found.errno):
        found = found.__cause__
    if not isinstance(found, OSError):
        return None
    number = found.errno or 0
    why = os.strerror(number)
    if number in _FULL:
        return StorageRefused(f"no room on the server for {what}: {why}")
    if number in _DENIED:
        return StorageDenied(f"the server cannot write {what}: {why}")
    if number in _FILES:
        return Unavailable(f"the server has too many files open for {what}: {why}; call again", retry_after=1.0)
    if number == errno.ENOMEM:
        return Exhausted(f"the server has no memory left for {what}: {why}", retry_after=1.0)
    if number == errno.ENAMETOOLONG:
        return PathDenied(f"the name of {what} is too long")
    return None


def path_error(error: OSError, what: str) -> SwathError | None:
    """As `system_error`, for what is done at a path that a client names: that may lead to a folder, or below a file."""
    match error.errno:
        case errno.EISDIR:
            return InvalidInput(f"{what} is a folder")
        case errno.ENOTDIR | errno.EEXIST:
            return InvalidInput(f"{what} would lie below a file")
    return system_error(error, what)
