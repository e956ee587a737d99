"""Where an artifact store keeps its bytes: the protocol of a backend, and the names of artifacts in it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Protocol

from swath.errors import InvalidInput

TOP = "sha256"
"""What the names of artifacts begin with."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class Objects(Protocol):
    """The backend of an `ArtifactStore`: bytes by name."""

    def put(self, name: str, data: bytes) -> None:
        """Write bytes whole; they are durable when this returns."""
        ...

    def get(self, name: str) -> bytes:
        """Return bytes.

        Raises:
            FileMissing: There are no bytes of that name.
        """
        ...

    def exists(self, name: str) -> bool:
        """Whether there are bytes of a name."""
        ...

    def older(self, than: datetime) -> Iterator[str]:
        """Yield the names of artifacts that were last written before a time."""
        ...

    def kept(self, name: str) -> bool:
        """Whether bytes that were just put are there to stay. Waits for a `remove` that may not have seen them."""
        ...

    def remove(self, names: Sequence[str], than: datetime) -> list[str]:
        """Remove those bytes that were last written before a time, and return their names. One caller at a time.

        Bytes written during the call, by this process or another one, are kept.
        """
        ...

    def tidy(self, than: datetime) -> None:
        """Remove unfinished writes of processes that died before a time."""
        ...

    def spec(self) -> dict[str, Any]:
        """Return what another process needs to open the same backend, as JSON-able data."""
        ...

    def part(self, name: str) -> Objects:
        """Return a part of this backend, with a namespace of its own."""
        ...


def name_of(digest: str) -> str:
    """Return the name under which the bytes of a digest are kept.

    Raises:
        InvalidInput: It is no digest.
    """
    if not _DIGEST.fullmatch(digest):
        raise InvalidInput(f"not a digest: {digest[:80]!r}; expected sha256: and 64 hexadecimal digits")
    return f"{TOP}/{digest[7:9]}/{digest[9:]}"


def digest_of(name: str) -> str:
    """Return the digest of the bytes that are kept under a name."""
    return "sha256:" + name.removeprefix(f"{TOP}/").replace("/", "")
