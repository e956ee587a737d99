"""A bucket: its objects by key, with errors of `swath.errors`. All of this blocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

import obstore
from obstore.store import ObjectStore, S3Store

from swath.errors import FileChanged, FileMissing, PathDenied
from swath.storage.s3.errors import bucket_errors
from swath.storage.s3.location import S3Location
from swath.storage.s3.objects import Content, KeyListing, Object, object_of, shares_stem, stem_of

PART = 8 << 20
"""Bytes of a part in which large objects are read and written."""

SHA256 = "swath-sha256"
"""Attribute of an object that holds its SHA-256 in lower-case hexadecimal."""

_PARTS_AT_ONCE = 2
_MAX_PARTS = 10_000
_LONGEST_KEY = 1024
_PAGE = 1000
_TRIES = 3
_LAST = "\U0010fffd"
"""Sorts after every character that a name can hold."""

# A server that does not answer is noticed within seconds; completing a multipart upload may take longer.
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
        bulk: The same with a longer read timeout, for requests that take long.
        name: Its name in messages.
        prefix_bytes: Length of the prefix, which counts towards the length of a key.
    """

    def __init__(self, store: ObjectStore, bulk: ObjectStore, name: str, prefix_bytes: int = 0) -> None:
        self._store = store
        self._bulk = bulk
        self._longest = _LONGEST_KEY - prefix_bytes
        self.name = name

    @classmethod
    def open(cls, location: S3Location) -> Bucket:
        """Return a part of a bucket on an S3 server. No request is sent yet."""
        config: dict[str, Any] = {"region": location.region}
        if location.endpoint:
            config["endpoint"] = location.endpoint
        if location.access_key_id:
            config |= {"access_key_id": location.access_key_id, "secret_access_key": location.secret_access_key}
        allow_http = location.endpoint.startswith("http://")

        def store(read_timeout: str) -> ObjectStore:
            options: Any = {**_TIMES, "read_timeout": read_timeout, "allow_http": allow_http}
            prefix = location.prefix or None
            return S3Store(location.bucket, prefix=prefix, client_options=options, retry_config=_RETRIES, **config)

        prefix_bytes = len(location.prefix.encode()) + 1 if location.prefix else 0
        return cls(store(_READ_S), store(_BULK_READ_S), str(location), prefix_bytes)

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
            with bucket_errors(f"{key!r}", self.name):
                return object_of(obstore.head(self._store, key))
        except FileMissing:
            return None

    def describe(self, key: str) -> tuple[Object, Mapping[str, str]]:
        """Return an object with the attributes that it was written with.

        Raises:
            FileMissing: There is no such object.
        """
        with bucket_errors(f"{key!r}", self.name):
            found = obstore.get(self._store, key, options={"head": True})
            return object_of(found.meta), found.attributes

    def read(
        self, key: str, *, start: int = 0, end: int | None = None, version: str | None = None, block: int = 1 << 20
    ) -> Content:
        """Read an object, or a range of it that is not empty.

        Args:
            key: The object.
            start: First byte.
            end: Byte after the last one; None means the object's end.
            version: Read this version only, see `Object.version`.
            block: Minimum bytes of a chunk, except for the last one.

        Raises:
            FileMissing: There is no such object.
            FileChanged: It has another version now.
        """
        options: dict[str, Any] = {}
        if version is not None and version.startswith('"'):
            options["if_match"] = version
        if end is not None:
            options["range"] = (start, end)
        elif start:
            options["range"] = {"offset": start}
        with bucket_errors(f"{key!r}", self.name):
            found = obstore.get(self._store, key, options=options)  # pyright: ignore[reportArgumentType]
            described = object_of(found.meta)
            if version is not None and described.version != version:
                raise FileChanged(f"{key!r} was replaced while it was read; repeat the request")
            return Content(described, found.attributes, self._chunks(key, found.stream(block)))

    def get(self, key: str) -> bytes:
        """Return an object's bytes.

        Raises:
            FileMissing: There is no such object.
        """
        with bucket_errors(f"{key!r}", self.name):
            return obstore.get(self._store, key).bytes().to_bytes()

    def put(self, key: str, data: bytes | memoryview, attributes: Mapping[str, str] | None = None) -> None:
        """Write an object whole; it is durable when this returns."""
        with bucket_errors(f"{key!r}", self.name):
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
        """Write an object chunk by chunk. It appears whole at the end; an error raised by `chunks` aborts the upload.

        Args:
            key: The object.
            chunks: Its bytes.
            attributes: What to store with it.
            size: Maximum number of bytes.
        """
        # The number of parts per object is limited.
        part = max(PART, -(-size // _MAX_PARTS))
        with bucket_errors(f"{key!r}", self.name):
            obstore.put(
                self._bulk,
                key,
                iter(chunks),
                attributes=dict(attributes or {}),
                chunk_size=part,
                max_concurrency=_PARTS_AT_ONCE,
            )

    def delete(self, keys: Sequence[str]) -> None:
        """Remove objects; missing ones are no error."""
        for at in range(0, len(keys), _PAGE):
            for _ in range(_TRIES):
                # When two clients remove the same object at once, some servers answer one of them NoSuchKey.
                with suppress(FileMissing), bucket_errors("what is to be removed", self.name):
                    obstore.delete(self._store, list(keys[at : at + _PAGE]))
                    break

    def list(self, prefix: str = "", *, after: str = "") -> Iterator[Object]:
        """Yield the objects below a folder, to any depth, by key in the order of code points.

        Args:
            prefix: The folder; empty means the whole bucket.
            after: Yield only keys that sort after this one.
        """
        pages = obstore.list(self._store, prefix or None, offset=after or None, chunk_size=_PAGE)
        while True:
            with bucket_errors(f"{prefix!r}", self.name):
                page = next(pages, None)
            if page is None:
                return
            yield from map(object_of, page)

    def list_folder(self, prefix: str = "") -> tuple[list[Object], list[str]]:
        """Return the objects directly in a folder, and the keys of its subfolders, both sorted."""
        with bucket_errors(f"{prefix!r}", self.name):
            found = obstore.list_with_delimiter(self._store, prefix or None)
            return sorted(map(object_of, found["objects"]), key=lambda each: each.key), sorted(found["common_prefixes"])

    def list_key(self, key: str) -> KeyListing:
        """Return what is at a key and beside it, by one request unless folders of the same stem hold many objects."""
        parent, _, name = key.rpartition("/")
        stem = stem_of(name)
        inside = f"{parent}/" if parent else ""
        at = f"{inside}{stem}"
        # One object shows that there is a folder of the stem's name, and that matters only if it is the key itself.
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
                        break  # no sibling sorts after this
                elif shares_stem(found.key.removeprefix(inside), stem):
                    siblings.append(found)
                top, below, _ = found.key.removeprefix(inside).partition("/")
                if below and seen >= _PAGE:
                    # Skip a folder of the same stem with a page of objects or more.
                    after, more = f"{inside}{top}/{_LAST}", True
                    break
        return KeyListing(None if folder else file, tuple(siblings), folder)

    def _chunks(self, key: str, stream: Iterable[bytes]) -> Iterator[bytes]:
        chunks = iter(stream)
        while True:
            with bucket_errors(f"{key!r}", self.name):
                chunk = next(chunks, None)
            if chunk is None:
                return
            yield chunk


def _before(key: str) -> str:
    """Return a string that sorts just before a key, as the start of a listing, which excludes its start."""
    head, below = key[:-1], ord(key[-1]) - 1
    if below < 32:
        return head.rstrip("/")
    if below == ord("/") and (not head or head.endswith("/")):
        below -= 1
    if below == 127 or 0xD800 <= below < 0xE000:
        below = 126 if below == 127 else 0xD7FF
    return f"{head}{chr(below)}{_LAST}"
