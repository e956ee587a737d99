"""Errors of object stores as errors of `swath.errors`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from obstore.exceptions import BaseError, PreconditionError

from swath.errors import (
    FileChanged,
    FileMissing,
    InvalidInput,
    PathDenied,
    StorageDenied,
    StorageRefused,
    SwathError,
    Unavailable,
)

_CODE = re.compile(r"<Code>(\w+)</Code>|\(code: (\w+)\)")
_STATUS = re.compile(r"status code: (\d{3})")
_FULL = {"QuotaExceeded", "StorageFull", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "EntityTooLarge"}
_ODD_NAME = ("empty path segment", "illegal character sequence")


@contextmanager
def bucket_errors(what: str, where: str) -> Iterator[None]:
    """Raise errors of obstore as errors of `swath.errors`.

    Args:
        what: What is read or written, for the message; empty for the root folder of the store.
        where: The bucket.
    """
    what = what or "its root folder"
    try:
        yield
    except PreconditionError as error:
        raise FileChanged(f"{what} was replaced while it was read; repeat the request") from error
    except FileNotFoundError as error:
        if "NoSuchBucket" in str(error):
            raise StorageDenied(f"there is no bucket of {where}") from error
        raise FileMissing(f"{what} is not in {where}") from error
    except (BaseError, ValueError) as error:
        raise _error_of(str(error), what, where) from error


def _error_of(text: str, what: str, where: str) -> SwathError:
    code = (match[1] or match[2]) if (match := _CODE.search(text)) else ""
    status = int(match[1]) if (match := _STATUS.search(text)) else 0
    if code in _FULL or status == 507:
        return StorageRefused(f"no room in {where} for {what}: {code or status}")
    match code:
        case "ObjectParentIsFile":
            return InvalidInput(f"{what} would lie below a file")
        case "ExistingObjectIsDirectory":
            return InvalidInput(f"{what} is a folder")
        case "KeyTooLongError":
            return PathDenied(f"the name of {what} is too long")
        case "NoSuchBucket":
            return StorageDenied(f"there is no bucket of {where}")
        case "NoSuchKey":
            return FileMissing(f"{what} is not in {where}")
    if any(words in text for words in _ODD_NAME):
        return InvalidInput(f"{where} holds names that no path can have, such as a//b; remove them from {what}")
    if code == "AccessDenied" or (400 <= status < 500 and status not in (408, 429)):
        return StorageDenied(f"{where} refuses the server access to {what}: {code or f'HTTP {status}'}")
    return Unavailable(f"{where} is out of reach, or too busy for {what}", retry_after=1.0)
