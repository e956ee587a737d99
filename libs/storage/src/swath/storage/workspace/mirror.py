"""Plain local files that are what a bucket holds, as far as somebody has asked for them. All of this blocks.

Each process has a tree of its own, of links to copies that all processes of a cache folder share: nobody else changes
or removes what this process has brought and is about to open. What is brought is at least as new as the bucket was
when the call began, whatever other calls are under way.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path, PurePosixPath

from swath.errors import FileChanged, FileMissing, InvalidInput, Unavailable
from swath.storage.files import HIDDEN, refusals
from swath.storage.s3.bucket import Bucket
from swath.storage.s3.object_cache import ObjectCache, Tree, fits
from swath.storage.s3.objects import Object, goes_with, stem_of

_AT_ONCE = 8
_TRIES = 5
_IDLE_S = 900.0

_Stamp = tuple[int, int, int]
"""Inode, time of the last change, size: by which a local file is known to be as it was left."""


@dataclass(slots=True)
class _Held:
    """A local file that is the copy of an object."""

    seq: int
    version: str
    stamp: _Stamp
    used: float


class Mirror:
    """The files of a bucket in a local tree.

    Args:
        bucket: The bucket.
        copies: Copies of its objects.
        tree: Where the files go.
        limit: Bytes of files to keep; those that were asked for in the last quarter of an hour stay anyway.

    Attributes:
        root: Where the files are.
        keeps: Whether files stay though there are too many: somebody has a long use for them.
    """

    def __init__(self, bucket: Bucket, copies: ObjectCache, tree: Tree, limit: int) -> None:
        self._bucket = bucket
        self._limit = limit
        self._object_cache = copies
        self._tree = tree
        self.root = tree.root
        self.keeps = False
        self._fetching = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="swath-mirror")
        # Guards the tree and all below. Nothing is asked of the bucket while it is held.
        self._turn = threading.RLock()
        self._held: dict[str, dict[str, _Held]] = {}
        self._gone: dict[str, int] = {}
        self._seq = 0
        self._under_way: set[int] = set()

    def place(self, key: str) -> Path:
        """Return where the file of a key is, or would be."""
        return self.root / key

    def bring(self, key: str, *, content: bool = True) -> bool:
        """Have what is at a key at hand: a file with its companions of the same stem, or a folder, as yet empty.

        Args:
            key: The key.
            content: Whether a file is wanted itself; otherwise only whether a folder is there.

        Returns:
            Whether it is a folder.
        """
        with self._listing() as seq:
            look = self._bucket.look(key)
            if look.folder:
                with self._turn:
                    self._make_folder(key)
                return True
            self._remove_below(key, seq, set())
            if content:
                parent, _, name = key.rpartition("/")
                listed = [each for each in (look.file, *look.siblings) if each is not None]
                stem = stem_of(name)
                self._remove(seq, parent, lambda each: each == name or goes_with(each, stem), listed)
                self._take(seq, listed)
            return False

    def bring_folder(
        self, key: str, *, suffixes: Collection[str] = (), most: int | None = None, deep: bool = True
    ) -> list[Object]:
        """Have all files below a folder at hand; empty for the root. Return the objects there.

        Args:
            key: The folder.
            suffixes: Suffixes of those that are wanted themselves; none means all.
            most: Objects at most.
            deep: Whether folders within it count.

        Raises:
            InvalidInput: There are more than `most`.
        """
        with self._listing() as seq:
            objects = self._bucket.list(key) if deep else iter(self._bucket.folder(key)[0])
            listed = [each for each in islice(objects, None if most is None else most + 1) if fits(each.key)]
            if most is not None and len(listed) > most:
                raise InvalidInput(
                    f"the folder {key!r} holds more than {most} files: name one further down",
                    metadata={"folder": key[:256]},
                )
            folders = {above.as_posix() for each in listed for above in PurePosixPath(each.key).parents}
            listed = [each for each in listed if each.key not in folders]
            wanted = [each for each in listed if not suffixes or each.key.endswith(tuple(suffixes))]
            if deep:
                self._remove_below(key, seq, {each.key for each in wanted}, suffixes)
            else:
                self._remove(seq, key, lambda each: not suffixes or each.endswith(tuple(suffixes)), wanted)
            if listed:
                with self._turn:
                    self._make_folder(key)
            self._take(seq, wanted)
            self._trim()
            return listed

    def bring_objects(self, objects: Iterable[Object]) -> None:
        """Have objects at hand that a listing gave."""
        with self._listing() as seq:
            self._take(seq, list(objects))

    # Keeping order

    @contextmanager
    def _listing(self) -> Iterator[int]:
        """Give a number to what the bucket says from now on: of two answers the one with the higher number counts."""
        with self._turn:
            self._seq += 1
            seq = self._seq
            self._under_way.add(seq)
        try:
            yield seq
        finally:
            with self._turn:
                self._under_way.discard(seq)
                oldest = min(self._under_way, default=self._seq)
                self._gone = {key: at for key, at in self._gone.items() if at > oldest}

    def _take(self, seq: int, objects: list[Object]) -> None:
        """Have copies of objects in their places."""
        with self._turn:
            missing = [each for each in objects if fits(each.key) and not self._is_current(seq, each)]
        if not missing:
            return
        fetch = partial(self._take_one, seq)
        if len(missing) == 1:
            fetch(missing[0])
        else:
            for _ in self._fetching.map(fetch, missing):
                pass

    def _take_one(self, seq: int, wanted: Object) -> None:
        for _ in range(_TRIES):
            try:
                copy, taken = self._object_cache.fetch(wanted)
                with self._turn, refusals(f"a local copy of {wanted.key!r}"):
                    if not self._is_newer(seq, wanted.key) and (stamp := self._link(copy, wanted.key)) is not None:
                        self._hold(wanted.key, _Held(seq, taken.version, stamp, time.monotonic()))
                return
            except FileMissing:
                return  # gone since it was listed
            except FileNotFoundError:
                continue  # the copy was removed to make room
            except FileChanged:
                again = self._bucket.head(wanted.key)
                if again is None:
                    return
                wanted = again
        raise Unavailable(f"{wanted.key!r} is replaced again and again; repeat the request", retry_after=1.0)

    def _is_newer(self, seq: int, key: str) -> bool:
        """Whether a later answer of the bucket has been about a key."""
        held = self._held_of(key)
        return max(held.seq if held else 0, self._gone.get(key, 0)) > seq

    def _is_current(self, seq: int, each: Object) -> bool:
        """Whether nothing is to be done about an object. A file that is, counts as used and as seen."""
        held = self._held_of(each.key)
        if held is None or held.version != each.version:
            return False
        try:
            if _stamp(self.root / each.key) != held.stamp:
                return False
        except OSError:
            return False
        held.seq, held.used = max(held.seq, seq), time.monotonic()
        return True

    def _remove(self, seq: int, parent: str, asked: Callable[[str], bool], listed: Iterable[Object]) -> None:
        """Remove those files of a folder that were asked for and that the bucket has no more."""
        keys = {each.key for each in listed}
        with self._turn:
            for name in [each for each in self._held.get(parent, ()) if asked(each)]:
                self._remove_one(f"{parent}/{name}".lstrip("/"), seq, keys)

    def _remove_below(self, key: str, seq: int, listed: Collection[str], suffixes: Collection[str] = ()) -> None:
        """Remove files below a folder that the bucket has no more, and the folder if nothing is left."""
        with self._turn:
            for parent, name, _ in list(self._below(key)):
                whole = f"{parent}/{name}".lstrip("/")
                if whole != key and (not suffixes or name.endswith(tuple(suffixes))):
                    self._remove_one(whole, seq, listed)
            if not listed and not suffixes and key:
                _remove_empty(self.root / key)

    def _remove_one(self, key: str, seq: int, listed: Collection[str]) -> None:
        held = self._held_of(key)
        if held is None or held.seq >= seq or key in listed:
            return
        with suppress(FileNotFoundError):
            (self.root / key).unlink()
        self._forget(key, seq)

    def _below(self, key: str) -> Iterator[tuple[str, str, _Held]]:
        """Give what is held at and below a key: folder, name, and what it is."""
        parent, _, name = key.rpartition("/")
        if name and (held := self._held_of(key)) is not None:
            yield parent, name, held
        for folder in list(self._held):
            if not key or folder == key or folder.startswith(f"{key}/"):
                for name, held in list(self._held[folder].items()):
                    yield folder, name, held

    def _held_of(self, key: str) -> _Held | None:
        parent, _, name = key.rpartition("/")
        return self._held.get(parent, {}).get(name)

    def _hold(self, key: str, held: _Held) -> None:
        parent, _, name = key.rpartition("/")
        self._held.setdefault(parent, {})[name] = held
        self._gone.pop(key, None)

    def _forget(self, key: str, seq: int) -> None:
        parent, _, name = key.rpartition("/")
        inside = self._held.get(parent, {})
        inside.pop(name, None)
        if not inside:
            self._held.pop(parent, None)
        self._gone[key] = seq

    # The tree

    def _make_folder(self, key: str) -> None:
        """Make a folder of the tree; files in its way are what the bucket had before."""
        folder = self.root / key
        with refusals(f"the folder {key!r}"):
            for above in reversed((folder, *folder.parents[: len(Path(key).parts)])):
                if above != self.root and os.path.lexists(above) and not above.is_dir():
                    above.unlink()
                    self._forget(above.relative_to(self.root).as_posix(), self._seq)
            folder.mkdir(parents=True, exist_ok=True)

    def _link(self, copy: Path, key: str) -> _Stamp | None:
        """Put a copy in its place; not where a folder has come meanwhile, which hides it."""
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
            # A link to what is there already is left over.
            with suppress(FileNotFoundError):
                unfinished.unlink()
        return _stamp(target)

    def _trim(self) -> None:
        """Let go of files that nobody has asked for in a while, if there are too many."""
        if self.keeps:
            return
        with self._turn:
            files = [
                (held.used, held.stamp[2], f"{parent}/{name}".lstrip("/")) for parent, name, held in self._below("")
            ]
            excess = sum(size for _, size, _ in files) - self._limit
            for used, size, key in sorted(files):
                if excess <= 0 or time.monotonic() - used < _IDLE_S:
                    return
                with suppress(FileNotFoundError):
                    (self.root / key).unlink()
                self._forget(key, 0)
                excess -= size

    def close(self) -> None:
        """Remove the files."""
        self._fetching.shutdown()
        self._tree.close()


def _remove_empty(folder: Path) -> None:
    """Remove a folder and those in it as far as they hold no files."""
    for here, _, _ in os.walk(folder, topdown=False):
        with suppress(OSError):
            os.rmdir(here)


def _stamp(path: Path) -> _Stamp:
    status = path.stat()
    return status.st_ino, status.st_mtime_ns, status.st_size
