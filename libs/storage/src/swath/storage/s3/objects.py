"""Objects of a bucket as listings describe them, and rules about their keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from swath.storage.files import HIDDEN

_LONGEST_NAME = 255


@dataclass(frozen=True, slots=True)
class Object:
    """An object as a listing describes it.

    Attributes:
        key: Its key, relative to the bucket's prefix.
        size: Bytes.
        version: Changes with its content: its ETag, or time and size where the server gives none.
        modified_ns: Unix time of the last write, nanoseconds.
    """

    key: str
    size: int
    version: str
    modified_ns: int


@dataclass(frozen=True, slots=True)
class KeyListing:
    """What is at a key.

    Attributes:
        file: The object of exactly this key; None if there is a folder or nothing.
        siblings: Objects in the same folder with the same stem.
        folder: Whether other keys lie below it. They hide an object of the same key, as no file system has both.
    """

    file: Object | None
    siblings: tuple[Object, ...]
    folder: bool


@dataclass(frozen=True, slots=True)
class Content:
    """An object that is being read: its description, the attributes that it was written with, and its bytes."""

    object: Object
    attributes: Mapping[str, str]
    chunks: Iterator[bytes]


def object_of(meta: Any) -> Object:
    """Return an object by its metadata from obstore."""
    modified = meta["last_modified"]
    version = meta["e_tag"] or f"{modified.timestamp()}/{meta['size']}"
    return Object(meta["path"], meta["size"], version, int(modified.timestamp() * 1000) * 10**6)


def is_hidden(key: str) -> bool:
    """Whether a key is reserved for the server."""
    return any(part.startswith(HIDDEN) for part in key.split("/"))


def is_mirrorable(key: str) -> bool:
    """Whether a file system can hold a file of a key, and users may see it."""
    return not is_hidden(key) and all(len(part.encode()) <= _LONGEST_NAME for part in key.split("/"))


def stem_of(name: str) -> str:
    """Return a name without its last suffix: what the names of a file and its siblings begin with."""
    head, dot, _ = name.rpartition(".")
    return head if dot and head else name


def shares_stem(name: str, stem: str) -> bool:
    """Whether a file belongs to a stem: `x`, `x.hdr` and `x.img.hdr` belong to `x`, `x.0001.npz` does not."""
    if "/" in name:
        return False
    rest = name.removeprefix(f"{stem}.")
    return name == stem or (rest != name and ("." not in rest or rest.lower().endswith(".hdr")))
