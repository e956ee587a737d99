"""Objects of a bucket as listings describe them, and what their keys say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from swath.storage.files import HIDDEN


@dataclass(frozen=True, slots=True)
class Object:
    """An object as a listing describes it.

    Attributes:
        key: Its key, relative to the bucket's prefix.
        size: Bytes.
        version: Changes with its content: its ETag, or when it was written where the server gives none.
        modified_ns: Unix time of the last write, nanoseconds.
    """

    key: str
    size: int
    version: str
    modified_ns: int


@dataclass(frozen=True, slots=True)
class Listing:
    """What is at a key.

    Attributes:
        file: The object of just this key; None where there is a folder or nothing.
        siblings: Objects beside it of the same stem.
        folder: Whether other keys lie below it. They hide an object of the same key, as no file system has both.
    """

    file: Object | None
    siblings: tuple[Object, ...]
    folder: bool


@dataclass(frozen=True, slots=True)
class Content:
    """An object that is being read: what it is, what was said about it when it was put, and its bytes in order."""

    object: Object
    attributes: Mapping[str, str]
    chunks: Iterator[bytes]


def object_of(meta: Any) -> Object:
    modified = meta["last_modified"]
    version = meta["e_tag"] or f"{modified.timestamp()}/{meta['size']}"
    return Object(meta["path"], meta["size"], version, int(modified.timestamp() * 1000) * 10**6)


def is_hidden(key: str) -> bool:
    """Whether a key is the server's own."""
    return any(part.startswith(HIDDEN) for part in key.split("/"))


def stem_of(name: str) -> str:
    """Return what a file and its companions begin with: a name without its last suffix."""
    head, dot, _ = name.rpartition(".")
    return head if dot and head else name


def goes_with(name: str, stem: str) -> bool:
    """Whether a file goes with those of a stem: `x`, `x.hdr`, `x.img.hdr`, and not `x.0001.npz`."""
    if "/" in name:
        return False
    rest = name.removeprefix(f"{stem}.")
    return name == stem or (rest != name and ("." not in rest or rest.lower().endswith(".hdr")))
