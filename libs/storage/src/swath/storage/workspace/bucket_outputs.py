"""Files that a job writes: plain local ones, brought to a bucket when the job says so. All of this blocks."""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from swath.storage.files import refusals
from swath.storage.s3.bucket import PART, SHA256, Bucket
from swath.storage.s3.object_cache import ObjectCache, Tree, fits
from swath.storage.s3.objects import Object

_UNFINISHED = ".tmp"
_QUIET_FACTOR = 20.0

_Stamp = tuple[int, int, int]


class BucketOutputs:
    """Outputs that belong in a bucket.

    Args:
        bucket: The bucket.
        copies: Copies of its objects.
        folder: Where trees are made.
        allowed: Returns the key that a path means, or a place outside the bucket that the operator allowed.
    """

    def __init__(self, bucket: Bucket, copies: ObjectCache, folder: Path, allowed: Callable[[str], str | Path]) -> None:
        self._bucket = bucket
        self._object_cache = copies
        self._folder = folder
        self._allowed = allowed
        # Most jobs write nothing: the tree is made when it is needed.
        self._tree: Tree | None = None
        self._turn = threading.RLock()
        self._places: set[str] = set()
        self._known: dict[str, _Stamp] = {}
        self._took: dict[str, tuple[float, float]] = {}

    def resolve(self, path: str) -> Path:
        """As `Outputs.resolve`."""
        key = self._allowed(path)
        if isinstance(key, Path):
            return key
        with self._turn, refusals(f"the output {key!r}"):
            if self._tree is None:
                self._tree = Tree(self._folder)
            root = self._tree.root
            look = self._bucket.look(key)
            objects, folders = self._bucket.folder(key) if look.folder else ([], [])
            self._places.add(key)
            for each in (key, *folders) if look.folder else ():
                if fits(each):
                    (root / each).mkdir(parents=True, exist_ok=True)
            for each in (*objects, look.file):
                # What this job has written, or removed, stays so.
                if each is not None and fits(each.key) and each.key not in self._known:
                    self._bring(each, root / each.key)
            return root / key

    @property
    def pending(self) -> bool:
        """As `Outputs.pending`."""
        return self._tree is not None

    def publish(self, *, final: bool = True) -> bool:
        """As `Outputs.publish`."""
        with self._turn:
            if self._tree is None:
                return True
            root = self._tree.root
            here = dict(self._files(root))
            whole = True
            for key, stamp in here.items():
                if self._known.get(key) == stamp:
                    continue
                if not (final or self._is_due(key)):
                    whole = False
                else:
                    started = time.monotonic()
                    with suppress(FileNotFoundError):  # removed meanwhile
                        self._upload(key, root / key)
                        self._known[key] = stamp
                    ended = time.monotonic()
                    self._took[key] = ended, ended - started
            gone = [key for key in self._known if key not in here and not os.path.lexists(root / key)]
            self._bucket.delete(gone)
            for key in gone:
                del self._known[key]
            return whole

    def close(self) -> None:
        """As `Outputs.close`."""
        with self._turn:
            tree, self._tree = self._tree, None
            if tree is not None:
                tree.close()

    def _bring(self, wanted: Object, place: Path) -> None:
        if place.exists():
            return
        copy, _ = self._object_cache.fetch(wanted)
        place.parent.mkdir(parents=True, exist_ok=True)
        # Not linked: it may be written into.
        shutil.copyfile(copy, place)
        self._known[wanted.key] = _stamp(place)

    def _files(self, root: Path) -> Iterator[tuple[str, _Stamp]]:
        """Give the keys of what is in the output places. Links that lead away do not count."""
        for place in sorted(self._places):
            top = root / place
            if top.is_dir():
                found = (os.path.join(here, name) for here, _, names in os.walk(top) for name in names)
            else:
                found = iter([str(top)])
            for path in found:
                key = os.path.relpath(path, root)
                if path.endswith(_UNFINISHED) or not fits(key) or not os.path.isfile(path):
                    continue
                if os.path.realpath(path).startswith(f"{root}/"):
                    with suppress(FileNotFoundError):
                        yield key, _stamp(Path(path))

    def _upload(self, key: str, path: Path) -> None:
        self._bucket.check(key)
        with path.open("rb") as file:
            data = file.read(PART + 1)
            if len(data) <= PART:
                self._bucket.put(key, data, {SHA256: hashlib.sha256(data).hexdigest()})
                return
            file.seek(0)
            size = os.fstat(file.fileno()).st_size
            # No digest: it may grow between one reading and the next. It is cut at the size that it had.
            self._bucket.put_stream(key, (file.read(min(PART, size - at)) for at in range(0, size, PART)), size=size)

    def _is_due(self, key: str) -> bool:
        ended, took = self._took.get(key, (0.0, 0.0))
        return time.monotonic() - ended >= _QUIET_FACTOR * took


def _stamp(path: Path) -> _Stamp:
    status = path.stat()
    return status.st_ino, status.st_mtime_ns, status.st_size
