"""Objects of a bucket by key, with errors of the tree. All of this blocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

import obstore
from obstore.store import ObjectStore, S3Store

from swath.errors import FileChanged, FileMissing, PathDenied
from swath.storage.s3.errors import refusals
from swath.storage.s3.location import S3Location
from swath.storage.s3.objects import Content, Listing, Object, goes_with, object_of, stem_of

PART = 8 << 20
"""Bytes in which large objects travel."""

SHA256 = "swath-sha256"
"""Attribute of an object that says its sha256 in lower-case hexadecimal."""

_PARTS_AT_ONCE = 2
_MAX_PARTS = 10_000
_LONGEST_KEY = 1024
_PAGE = 1000
_TRIES = 3
_LAST = "\U0010fffd"
"""Sorts behind everything that a name is made of."""

# A server that is away is noticed within seconds; a large object may take its time to be put together.
_RETRIES: Any = {
    "max_retries": 2,
    "retry_timeout": timedelta(seconds=3),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=1), "base": 2},
}
_TIMES = {"connect_timeout": "2s", "timeout": "12h"}
_READ_S = "5s"
_BULK_READ_S = "60s"


class Bucket:
    """Part of a bucket.

    Errors of all methods: `Unavailable` (the server is away or busy), `StorageDenied` (credentials, or no such bucket),
    `StorageRefused` (no room).

    Args:
        store: The part, as obstore has it.
        bulk: The same with more patience, for requests that take long.
        name: For messages.
        prefix_bytes: What the prefix takes of a key's length.
    """

    def __init__(self, store: ObjectStore, bulk: ObjectStore, name: str, prefix_bytes: int = 0) -> None:
        self._store = store
        self._bulk = bulk
        self._longest = _LONGEST_KEY - prefix_bytes
        self.name = name

    @classmethod
    def open(cls, place: S3Location) -> Bucket:
        """Return a part of a bucket on an S3 server. Nothing is asked of it yet."""
        config: dict[str, Any] = {"region": place.region}
        if place.endpoint:
            config["endpoint"] = place.endpoint
        if place.access_key_id:
            config |= {"access_key_id": place.access_key_id, "secret_access_key": place.secret_access_key}
        allow_http = place.endpoint.startswith("http://")

        def store(read_timeout: str) -> ObjectStore:
            options: Any = {**_TIMES, "read_timeout": read_timeout, "allow_http": allow_http}
            prefix = place.prefix or None
            return S3Store(place.bucket, prefix=prefix, client_options=options, retry_config=_RETRIES, **config)

        prefix_bytes = len(place.prefix.encode()) + 1 if place.prefix else 0
        return cls(store(_READ_S), store(_BULK_READ_S), str(place), prefix_bytes)

    def check(self, key: str) -> None:
        """Refuse a key that objects cannot have.

        Raises:
            PathDenied: Too long, or with characters that no name in a bucket may hold.
        """
        try:
            length = len(key.encode())
        except UnicodeEncodeError as error:
            raise PathDenied(f"the path {key[:200]!a} is not UTF-8") from error
        if length > self._longest:
            raise PathDenied(f"the path {key[:200]!r}… is too long: {self._longest} bytes are taken in the bucket")
        if any(ord(each) < 32 or ord(each) == 127 for each in key):
            raise PathDenied(f"the path {key[:200]!r} holds control characters, which names in a bucket cannot")

    def head(self, key: str) -> Object | None:
        """Return an object, None if there is none."""
        try:
            with refusals(f"{key!r}", self.name):
                return object_of(obstore.head(self._store, key))
        except FileMissing:
            return None

    def describe(self, key: str) -> tuple[Object, Mapping[str, str]]:
        """Return an object and what was said about it when it was put.

        Raises:
            FileMissing: There is none.
        """
        with refusals(f"{key!r}", self.name):
            found = obstore.get(self._store, key, options={"head": True})
            return object_of(found.meta), found.attributes

    def read(
        self, key: str, *, start: int = 0, end: int | None = None, version: str | None = None, block: int = 1 << 20
    ) -> Content:
        """Read an object, or a part of it that is not empty.

        Args:
            key: The object.
            start: First byte.
            end: Byte after the last one; None means the object's end.
            version: The only one wanted; as of `Object.version`.
            block: Bytes of a chunk at least, but for the last.

        Raises:
            FileMissing: There is no such object.
            FileChanged: It is not of that version any more.
        """
        options: dict[str, Any] = {}
        if version is not None and version.startswith('"'):
            options["if_match"] = version
        if end is not None:
            options["range"] = (start, end)
        elif start:
            options["range"] = {"offset": start}
        with refusals(f"{key!r}", self.name):
            found = obstore.get(self._store, key, options=options)  # pyright: ignore[reportArgumentType]
            described = object_of(found.meta)
            if version is not None and described.version != version:
                raise FileChanged(f"{key!r} was replaced while it was read; repeat the request")
            return Content(described, found.attributes, self._chunks(key, found.stream(block)))

    def get(self, key: str) -> bytes:
        """Return an object's bytes.

        Raises:
            FileMissing: There is none.
        """
        with refusals(f"{key!r}", self.name):
            return obstore.get(self._store, key).bytes().to_bytes()

    def put(self, key: str, data: bytes | memoryview, attributes: Mapping[str, str] | None = None) -> None:
        """Write an object whole; it is safe when this returns."""
        with refusals(f"{key!r}", self.name):
            if len(data) <= PART:
                obstore.put(self._store, key, bytes(data), attributes=dict(attributes or {}), use_multipart=False)
                return
        self.put_stream(key, (data[at : at + PART] for at in range(0, len(data), PART)), attributes, size=len(data))

    def put_stream(
        self,
        key: str,
        chunks: Iterable[bytes | memoryview],
        attributes: Mapping[str, str] | None = None,
        *,
        size: int,
    ) -> None:
        """Write an object from chunks as they come. It appears whole at the end; an error of the chunks ends it.

        Args:
            key: The object.
            chunks: Its bytes.
            attributes: What is to be kept about it.
            size: Bytes at most.
        """
        # An object has a limited number of parts.
        part = max(PART, -(-size // _MAX_PARTS))
        with refusals(f"{key!r}", self.name):
            obstore.put(
                self._bulk,
                key,
                iter(chunks),
                attributes=dict(attributes or {}),
                chunk_size=part,
                max_concurrency=_PARTS_AT_ONCE,
            )

    def delete(self, keys: Sequence[str]) -> None:
        """Remove objects; those that are not there are no error."""
        for at in range(0, len(keys), _PAGE):
            for _ in range(_TRIES):
                # Of two who remove the same at once some servers tell one that it is gone.
                with suppress(FileMissing), refusals("what is to be removed", self.name):
                    obstore.delete(self._store, list(keys[at : at + _PAGE]))
                    break

    def list(self, prefix: str = "", *, after: str = "") -> Iterator[Object]:
        """Give the objects below a folder, to any depth, by key in the order of code points.

        Args:
            prefix: The folder; empty means everything.
            after: Key that all given ones come after.
        """
        pages = obstore.list(self._store, prefix or None, offset=after or None, chunk_size=_PAGE)
        while True:
            with refusals(f"{prefix!r}", self.name):
                page = next(pages, None)
            if page is None:
                return
            yield from map(object_of, page)

    def folder(self, prefix: str = "") -> tuple[list[Object], list[str]]:
        """Return the objects directly in a folder, and the keys of the folders in it, both in order."""
        with refusals(f"{prefix!r}", self.name):
            found = obstore.list_with_delimiter(self._store, prefix or None)
            return sorted(map(object_of, found["objects"]), key=lambda each: each.key), sorted(found["common_prefixes"])

    def look(self, key: str) -> Listing:
        """Say what is at a key and beside it: one listing, save where folders of the same stem hold much."""
        parent, _, name = key.rpartition("/")
        stem = stem_of(name)
        inside = f"{parent}/" if parent else ""
        at = f"{inside}{stem}"
        # Of the stem's own folder one object is enough, and only where it is asked for.
        last = f"{at}/{_LAST}" if key == at else f"{at}.{_LAST}"
        after = _before(at)
        file: Object | None = None
        siblings: list[Object] = []
        folder, more = False, True
        while more:
            more = False
            for seen, found in enumerate(self.list(parent, after=after), start=1):
                if found.key > last:
                    break
                if found.key == key:
                    file = found
                elif found.key.startswith(f"{key}/"):
                    folder = True
                    if key == at:
                        break  # no sibling sorts behind this
                elif goes_with(found.key.removeprefix(inside), stem):
                    siblings.append(found)
                top, below, _ = found.key.removeprefix(inside).partition("/")
                if below and seen >= _PAGE:
                    # A folder of the same stem with very much in it is passed over.
                    after, more = f"{inside}{top}/{_LAST}", True
                    break
        return Listing(None if folder else file, tuple(siblings), folder)

    def _chunks(self, key: str, stream: Iterable[bytes]) -> Iterator[bytes]:
        chunks = iter(stream)
        while True:
            with refusals(f"{key!r}", self.name):
                chunk = next(chunks, None)
            if chunk is None:
                return
            yield chunk


def _before(key: str) -> str:
    """Return what sorts before a key, and behind nearly everything else that does: listings begin behind a key."""
    head, below = key[:-1], ord(key[-1]) - 1
    if below < 32:
        return head.rstrip("/")
    if below == ord("/") and (not head or head.endswith("/")):
        below -= 1
    if below == 127 or 0xD800 <= below < 0xE000:
        below = 126 if below == 127 else 0xD7FF
    return f"{head}{chr(below)}{_LAST}"
