"""Large payloads by shared memory.

The system holds few bytes between the ends of a socket: tens of MB take hundreds of turns of both loops. So a payload
is written into a file in memory, and the frame has its name; who reads it removes the name first. No mapping: a replica
that cuts a file which the host has mapped would end the host.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import time
from collections.abc import Sequence
from pathlib import Path

Buffer = bytes | bytearray | memoryview

LARGE = 1024 * 1024
"""Payloads of so many bytes go by a file."""

_FOLDER = Path("/dev/shm")
_NAME = re.compile(r"swath-serve-(\d+)-[0-9a-f]{16}", re.ASCII)
_OLD_S = 60.0
_PARTS = 512


class Segments:
    """The files that one end of a socket has written, until the other one has read them."""

    def __init__(self) -> None:
        self._written: list[Path] = []

    def write(self, parts: Sequence[Buffer]) -> str | None:
        """Write a payload; return the name of its file, None where there is no room for it."""
        if not self._written:
            _sweep()
        else:
            self._written = [each for each in self._written if each.exists()]
        place = _FOLDER / f"swath-serve-{os.getpid()}-{secrets.token_hex(8)}"
        try:
            file = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError:
            return None
        self._written.append(place)
        try:
            left = [memoryview(each).cast("B") for each in parts if len(each)]
            while left:
                done = os.writev(file, left[:_PARTS])
                while left and done >= len(left[0]):
                    done -= len(left.pop(0))
                if done:
                    left[0] = left[0][done:]
        except OSError:  # no room
            place.unlink(missing_ok=True)
            return None
        finally:
            os.close(file)
        return place.name

    def clear(self) -> None:
        """Remove what nobody has read."""
        for each in self._written:
            each.unlink(missing_ok=True)
        self._written.clear()


def read(name: str, size: int) -> bytearray | None:
    """Return the payload in a file, which is gone then; None where it is not what the other end has said."""
    if not _NAME.fullmatch(name):
        return None
    place = _FOLDER / name
    try:
        file = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        place.unlink(missing_ok=True)
        if os.fstat(file).st_size != size:
            return None
        data = bytearray(size)
        view, at = memoryview(data), 0
        while at < size:
            count = os.readv(file, [view[at:]])
            if not count:
                return None
            at += count
    except OSError:
        return None
    finally:
        os.close(file)
    return data


def usable() -> bool:
    """Whether this machine has memory for files."""
    return _FOLDER.is_dir() and os.access(_FOLDER, os.W_OK)


def _sweep() -> None:
    """Remove files of processes that were killed before anybody had read them."""
    with contextlib.suppress(OSError):
        for place in _FOLDER.glob("swath-serve-*"):
            found = _NAME.fullmatch(place.name)
            if found is None or Path(f"/proc/{found[1]}").exists():
                continue
            with contextlib.suppress(OSError):
                if time.time() - place.stat().st_mtime > _OLD_S:
                    place.unlink()
