"""A local mirror of those files of a bucket that were asked for. All of this blocks.

Each process has a scratch folder of its own, with links to cached objects that all processes of a cache folder share:
no other process changes or removes a file that this one has fetched and is about to open. What is fetched is at least
as new as the bucket was when the call began, whatever other calls run at the same time.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from itertools import islice
from pathlib import Path, PurePosixPath

from swath.errors import FileChanged, FileMissing, InvalidInput, Unavailable
from swath.storage.files import HIDDEN, Stamp, stamp_of, storage_errors
from swath.storage.s3.bucket import Bucket
from swath.storage.s3.object_cache import ObjectCache
from swath.storage.s3.objects import Object, is_mirrorable, shares_stem, stem_of
from swath.storage.scratch import ScratchFolder
from swath.storage.workspace.mirror_index import Entry, MirrorIndex

_AT_ONCE = 8
_TRIES = 5
_IDLE_S = 900.0


class Mirror:
    """The files of a bucket in a local folder.

    Args:
        bucket: The bucket.
        cache: The cache of its objects.
        scratch: Where the files go.
        limit: Bytes of files to keep. Files that were asked for within the last 15 minutes are kept anyway.

    Attributes:
        root: Where the files are.
        pinned: Whether files are kept beyond the limit, for a job that uses them for long.
    """

    def __init__(self, bucket: Bucket, cache: ObjectCache, scratch: ScratchFolder, limit: int) -> None:
        self._bucket = bucket
        self._limit = limit
        self._cache = cache
        self._scratch = scratch
        self.root = scratch.root
        self.pinned = False
        self._pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="swath-mirror")
        # Guards the folder and all fields below. No request is sent to the bucket while it is held.
        self._lock = threading.RLock()
        self._index = MirrorIndex()
        self._listings = 0
        self._running: set[int] = set()

    def path(self, key: str) -> Path:
        """Return the path of a key's file, whether it is there or not."""
        return self.root / key

    def fetch(self, key: str, *, content: bool = True) -> bool:
        """Fetch what is at a key: a file with its siblings of the same stem, or a folder without its content.

        Args:
            key: The key.
            content: Whether to fetch a file; otherwise only a folder is made, if there is one.

        Returns:
            Whether it is a folder.
        """
        with self._listing() as listing:
            found = self._bucket.list_key(key)
            if found.folder:
                with self._lock:
                    self._make_folder(key)
                return True
            self._remove_below(key, listing, set())
            if content:
                parent, _, name = key.rpartition("/")
                listed = [each for each in (found.file, *found.siblings) if each is not None]
                stem = stem_of(name)
                self._remove(listing, parent, lambda each: each == name or shares_stem(each, stem), listed)
                self._fetch_missing(listing, listed)
            return False

    def fetch_folder(
        self, key: str, *, suffixes: Collection[str] = (), most: int | None = None, deep: bool = True
    ) -> list[Object]:
        """Fetch the files below a folder and return all objects there.

        Args:
            key: The folder; empty for the root.
            suffixes: Suffixes of the files to fetch; none means all files.
            most: Maximum number of objects.
            deep: Whether to include subfolders.

        Raises:
            InvalidInput: There are more than `most`.
        """
        with self._listing() as listing:
            objects = self._bucket.list(key) if deep else iter(self._bucket.list_folder(key)[0])
            listed = [each for each in islice(objects, None if most is None else most + 1) if is_mirrorable(each.key)]
            if most is not None and len(listed) > most:
                raise InvalidInput(
                    f"the folder {key!r} holds more than {most} files: name one further down",
                    metadata={"folder": key[:256]},
                )
            folders = {above.as_posix() for each in listed for above in PurePosixPath(each.key).parents}
            listed = [each for each in listed if each.key not in folders]
            wanted = [each for each in listed if not suffixes or each.key.endswith(tuple(suffixes))]
            if deep:
                self._remove_below(key, listing, {each.key for each in wanted}, suffixes)
            else:
                self._remove(listing, key, lambda each: not suffixes or each.endswith(tuple(suffixes)), wanted)
            if listed:
                with self._lock:
                    self._make_folder(key)
            self._fetch_missing(listing, wanted)
            self._trim()
            return listed

    def fetch_objects(self, objects: Iterable[Object]) -> None:
        """Fetch objects that a listing returned."""
        with self._listing() as listing:
            self._fetch_missing(listing, list(objects))

    # Listings and index

    @contextmanager
    def _listing(self) -> Iterator[int]:
        """Number the listings that are requested from now on (see `MirrorIndex`)."""
        with self._lock:
            self._listings += 1
            number = self._listings
            self._running.add(number)
        try:
            yield number
        finally:
            with self._lock:
                self._running.discard(number)
                self._index.expire(min(self._running, default=self._listings))

    def _fetch_missing(self, listing: int, objects: list[Object]) -> None:
        """Fetch those objects that are not local yet, or are outdated."""
        with self._lock:
            missing = [each for each in objects if is_mirrorable(each.key) and not self._is_current(listing, each)]
        if not missing:
            return
        fetch = partial(self._fetch_one, listing)
        if len(missing) == 1:
            fetch(missing[0])
        else:
            for _ in self._pool.map(fetch, missing):
                pass

    def _fetch_one(self, listing: int, wanted: Object) -> None:
        for _ in range(_TRIES):
            try:
                copy, taken = self._cache.fetch(wanted)
                with self._lock, storage_errors(f"a local copy of {wanted.key!r}"):
                    current = self._index.newest(wanted.key) > listing
                    if not current and (stamp := self._link(copy, wanted.key)) is not None:
                        self._index.add(wanted.key, Entry(listing, taken.version, stamp, time.monotonic()))
                return
            except FileMissing:
                return  # removed since it was listed
            except FileNotFoundError:
                continue  # the cache evicted it
            except FileChanged:
                again = self._bucket.head(wanted.key)
                if again is None:
                    return
                wanted = again
        raise Unavailable(f"{wanted.key!r} is replaced again and again; repeat the request", retry_after=1.0)

    def _is_current(self, listing: int, each: Object) -> bool:
        """Whether there is nothing to fetch of an object. Its file then counts as used, and as shown by the listing."""
        entry = self._index.find(each.key)
        if entry is None or entry.version != each.version:
            return False
        try:
            if stamp_of(self.root / each.key) != entry.stamp:
                return False
        except OSError:
            return False
        entry.listing, entry.used = max(entry.listing, listing), time.monotonic()
        return True

    def _remove(self, listing: int, parent: str, asked: Callable[[str], bool], listed: Iterable[Object]) -> None:
        """Remove those files of a folder that were asked for and that the bucket does not have any more."""
        keys = {each.key for each in listed}
        with self._lock:
            for name in [each for each in self._index.names(parent) if asked(each)]:
                self._remove_one(f"{parent}/{name}".lstrip("/"), listing, keys)

    def _remove_below(self, key: str, listing: int, listed: Collection[str], suffixes: Collection[str] = ()) -> None:
        """Remove files below a folder that the bucket does not have any more, and the folder if it is empty then."""
        with self._lock:
            for below, _ in list(self._index.below(key)):
                if below != key and (not suffixes or below.endswith(tuple(suffixes))):
                    self._remove_one(below, listing, listed)
            if not listed and not suffixes and key:
                _remove_empty(self.root / key)

    def _remove_one(self, key: str, listing: int, listed: Collection[str]) -> None:
        entry = self._index.find(key)
        if entry is None or entry.listing >= listing or key in listed:
            return
        with suppress(FileNotFoundError):
            (self.root / key).unlink()
        self._index.remove(key, listing)

    # The folder

    def _make_folder(self, key: str) -> None:
        """Make a local folder. Files in its way are outdated and removed."""
        folder = self.root / key
        with storage_errors(f"the folder {key!r}"):
            for above in reversed((folder, *folder.parents[: len(Path(key).parts)])):
                if above != self.root and os.path.lexists(above) and not above.is_dir():
                    above.unlink()
                    self._index.remove(above.relative_to(self.root).as_posix(), self._listings)
            folder.mkdir(parents=True, exist_ok=True)

    def _link(self, copy: Path, key: str) -> Stamp | None:
        """Link a cached object to its path, unless a folder was made there meanwhile, which hides it."""
        target = self.root / key
        self._make_folder(target.parent.relative_to(self.root).as_posix() if "/" in key else "")
        _remove_empty(target)
        if target.is_dir():
            return None
        unfinished = target.parent / f"{HIDDEN}{secrets.token_hex(8)}"
        try:
            os.link(copy, unfinished)
            unfinished.replace(target)
        finally:
            # Renaming a link over another link to the same file does nothing, and leaves both.
            with suppress(FileNotFoundError):
                unfinished.unlink()
        return stamp_of(target)

    def _trim(self) -> None:
        """Remove files that nobody has asked for lately, while there are more bytes than the limit."""
        if self.pinned:
            return
        with self._lock:
            files = [(entry.used, entry.stamp[2], key) for key, entry in self._index.below("")]
            excess = sum(size for _, size, _ in files) - self._limit
            for used, size, key in sorted(files):
                if excess <= 0 or time.monotonic() - used < _IDLE_S:
                    return
                with suppress(FileNotFoundError):
                    (self.root / key).unlink()
                self._index.remove(key, 0)
                excess -= size

    def close(self) -> None:
        """Remove the files."""
        self._pool.shutdown()
        self._scratch.close()


def _remove_empty(folder: Path) -> None:
    """Remove a folder and its subfolders as far as they hold no files."""
    for here, _, _ in os.walk(folder, topdown=False):
        with suppress(OSError):
            os.rmdir(here)
