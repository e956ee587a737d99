"""The files of a workspace in a bucket as clients see them. All of this blocks."""

from __future__ import annotations

import hashlib
import heapq
import os
import re
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path, PurePosixPath

from swath.errors import FileChanged, FileMissing, FolderNotEmpty, InvalidInput, PathDenied, Unavailable
from swath.storage.s3.bucket import PART, SHA256, Bucket
from swath.storage.s3.objects import Object, is_hidden
from swath.storage.workspace.bucket import BucketWorkspace
from swath.storage.workspace.paths import CONFIGS
from swath_session.workspace.folder_catalogue import FolderCatalogue, children
from swath_session.workspace.model import Entry, OpenFile, missing

_AT_ONCE = 16
_KNOWN_DIGESTS = 16_384
_HEX = re.compile(r"[0-9a-f]{64}")


class BucketCatalogue:
    """The catalogue of a workspace in a bucket. Folders are what keys have in common: an empty one is not there."""

    def __init__(self, workspace: BucketWorkspace) -> None:
        self._workspace = workspace
        self._bucket = workspace.bucket
        # Only for what ships with the server.
        self._shipped = FolderCatalogue(workspace)
        self._digests: OrderedDict[tuple[str, str], str] = OrderedDict()

    def stat(self, path: str, *, with_sha256: bool = False) -> Entry:
        """As `Catalogue.stat`."""
        found = self._find(path)
        if isinstance(found, Path):
            return self._shipped.stat(str(found), with_sha256=with_sha256)
        if isinstance(found, str):
            return _folder(found)
        return self.described(found) if with_sha256 else _file(found)

    def page(
        self, path: str, *, recursive: bool, with_sha256: bool, most: int, after: str = ""
    ) -> tuple[list[Entry], str]:
        """As `Catalogue.page`."""
        found = self._find(path)
        if isinstance(found, Object):
            return [self.described(found) if with_sha256 else _file(found)], ""
        if isinstance(found, Path) and not found.is_dir():
            return [self._shipped.stat(str(found), with_sha256=with_sha256)], ""
        key = self._workspace.name(found) if isinstance(found, Path) else found
        layers = heapq.merge(
            self._own(key, recursive, after), self._laid_under(key, recursive, after), key=lambda each: each.place
        )
        entries = list(islice(_merged(layers), most + 1))
        more = len(entries) > most
        entries = entries[:most]
        following = entries[-1].place if more else ""
        return (self._with_digests(entries) if with_sha256 else entries), following

    def open(self, path: str, offset: int = 0, length: int | None = None) -> OpenFile:
        """As `Catalogue.open`."""
        found = self._find(path)
        if isinstance(found, Path):
            return self._shipped.open(str(found))
        if isinstance(found, str):
            raise InvalidInput(f"{path!r} is not a file")
        found, entry = self._described(found)
        end = found.size if length is None else min(found.size, offset + length)
        return BucketFile(self._bucket, found, entry, offset, end)

    def name(self, path: str) -> str:
        """As `Catalogue.name`."""
        [key] = self._workspace.locate(path, write=True)
        if isinstance(key, Path):
            raise PathDenied(f"the path {path[:200]!r} is not in the workspace; only files there are removed")
        if not key:
            raise InvalidInput("the workspace's root cannot be removed")
        return key

    def delete(self, path: str, *, recursive: bool) -> int:
        """As `Catalogue.delete`."""
        key = self.name(path)
        look = self._bucket.list_key(key)
        if look.folder and not recursive:
            raise FolderNotEmpty(f"{path!r} is a folder that is not empty; set recursive to remove all that it holds")
        if look.folder:
            return self._delete_folder(key)
        if look.file is None:
            if isinstance(self._find(path), Path):
                raise PathDenied(f"{path!r} ships with the server and cannot be removed")
            raise missing(path)
        self._bucket.delete([key])
        return 1

    def described(self, found: Object) -> Entry:
        """Describe a file with its digest.

        Raises:
            FileMissing: It is gone.
        """
        return self._described(found)[1]

    def remember(self, found: Object, sha256: str) -> Entry:
        """Describe a file that was just written, and keep its digest in mind."""
        self._digests[found.key, found.version] = sha256
        while len(self._digests) > _KNOWN_DIGESTS:
            self._digests.popitem(last=False)
        return replace(_file(found), sha256=sha256)

    def _find(self, path: str) -> Object | str | Path:
        """Return the file, the key of the folder, or the place of what ships with the server, that a path means."""
        for each in self._workspace.locate(path or "."):
            if isinstance(each, Path):
                if not each.is_relative_to(self._workspace.configs):
                    raise PathDenied(f"the path {path[:200]!r} is not in the workspace")
                if os.path.lexists(each):
                    return each
            elif not each or (look := self._bucket.list_key(each)).folder:
                return each
            elif look.file is not None:
                return look.file
        raise missing(path)

    def _own(self, key: str, recursive: bool, after: str) -> Iterator[Entry]:
        """Give what is below a folder of the bucket, in order, from behind `after` on."""
        if not recursive:
            objects, folders = self._bucket.list_folder(key)
            given = [*map(_folder, folders), *map(_file, (each for each in objects if each.key not in folders))]
            yield from sorted(
                (each for each in given if each.place > after and not is_hidden(each.path)), key=lambda each: each.place
            )
            return
        begun: list[str] = []
        for found in self._bucket.list(key, after=after.rstrip("/")):
            if is_hidden(found.key):
                continue
            above = [each.as_posix() for each in PurePosixPath(found.key).parents][-2::-1]
            below = [each for each in above if not key or each.startswith(f"{key}/")]
            # Some tools mark an empty folder by an object of the key `folder/`.
            mark = found.size == 0 and self._bucket.head(found.key) is None
            below += [found.key] if mark else []
            yield from (_folder(each) for each in below if each not in begun and f"{each}/" > after)
            begun = below
            if not mark and found.key > after:
                yield _file(found)

    def _laid_under(self, key: str, recursive: bool, after: str) -> Iterator[Entry]:
        """Give what ships with the server below a folder of the workspace, in order."""
        given: list[Entry] = []

        def walk(parts: tuple[str, ...]) -> None:
            for name, place, folder, enter in children(self._workspace, parts, own=False):
                here = (*parts, name)
                if f"{'/'.join(here)}{'/' * folder}" > after:
                    with suppress(FileMissing):
                        given.append(replace(self._shipped.stat(str(place)), path="/".join(here)))
                if recursive and enter:
                    walk(here)

        if not key or PurePosixPath(key).parts[0] == CONFIGS:
            walk(PurePosixPath(key).parts)
        return iter(sorted(given, key=lambda each: each.place))

    def _with_digests(self, entries: list[Entry]) -> list[Entry]:
        def fill(entry: Entry) -> Entry | None:
            with suppress(FileMissing):
                return entry if entry.folder else self.stat(entry.path, with_sha256=True)
            return None  # gone meanwhile

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return [each for each in pool.map(fill, entries) if each is not None]

    def _described(self, found: Object) -> tuple[Object, Entry]:
        """Return a file as it is now, and describe it."""
        if (known := self._digests.get((found.key, found.version))) is not None:
            return found, self.remember(found, known)
        for _ in range(3):
            found, attributes = self._bucket.describe(found.key)
            sha256 = attributes.get(SHA256, "")
            if _HEX.fullmatch(sha256):
                return found, self.remember(found, sha256)
            # It was put there by another tool.
            digest = hashlib.sha256()
            with suppress(FileChanged):
                for chunk in self._bucket.read(found.key, version=found.version, block=PART).chunks:
                    digest.update(chunk)
                return found, self.remember(found, digest.hexdigest())
        raise FileChanged(f"{found.key!r} is replaced again and again; repeat the request")

    def _delete_folder(self, key: str) -> int:
        keys = [each.key for each in self._bucket.list(key)]
        # With the file of the same name, if there is one, which the folder hid.
        self._bucket.delete([*keys, key])
        folders = {above.as_posix() for each in keys for above in PurePosixPath(each).parents}
        return len(keys) + sum(each == key or each.startswith(f"{key}/") for each in folders)


class BucketFile:
    """One version of an object, open for reading from one position to another."""

    def __init__(self, bucket: Bucket, found: Object, entry: Entry, start: int, end: int) -> None:
        self._bucket = bucket
        self._found = found
        self._entry = entry
        self._end = end
        self._rest = memoryview(b"")
        # Opened at once: what it has begun to send the server sends to the end, whatever takes the object's place.
        self._chunks = self._stream(start) if start < end else iter(())

    @property
    def entry(self) -> Entry:
        """The file with its digest."""
        return self._entry

    def read(self, position: int, length: int) -> bytes:
        """As `OpenFile.read`."""
        if not self._rest:
            self._rest = memoryview(self._next(position))
        data, self._rest = bytes(self._rest[:length]), self._rest[length:]
        return data

    def close(self) -> None:
        """Close the connection."""
        self._chunks = iter(())

    def _next(self, position: int) -> bytes:
        try:
            if chunk := next(self._chunks, b""):
                return chunk
        except Unavailable:
            # A reader who pauses may find that the server has hung up.
            self._chunks = self._stream(position)
            if chunk := next(self._chunks, b""):
                return chunk
        raise FileChanged(f"{self._entry.path!r} ended before its end; repeat the request")

    def _stream(self, start: int) -> Iterator[bytes]:
        return self._bucket.read(self._found.key, start=start, end=self._end, version=self._found.version).chunks


def _merged(entries: Iterator[Entry]) -> Iterator[Entry]:
    """Lay the own layer over what ships with the server."""
    files: set[str] = set()
    before = ""
    for entry in entries:
        hidden = entry.shipped and any(above.as_posix() in files for above in PurePosixPath(entry.path).parents)
        if entry.path == before or entry.path in files or hidden:
            continue
        if not entry.folder and not entry.shipped:
            files.add(entry.path)
        before = entry.path
        yield entry


def _file(found: Object) -> Entry:
    return Entry(found.key, False, found.size, None, found.modified_ns, False)


def _folder(key: str) -> Entry:
    return Entry(key, True, 0, None, 0, False)
