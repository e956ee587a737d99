"""Files that a job writes: plain local files, uploaded to a bucket when the job asks for it. All of this blocks."""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from swath.storage.files import Stamp, stamp_of, storage_errors
from swath.storage.s3.bucket import PART, SHA256, Bucket
from swath.storage.s3.object_cache import ObjectCache
from swath.storage.s3.objects import Object, is_mirrorable
from swath.storage.scratch import ScratchFolder

_UNFINISHED = ".tmp"
_QUIET_FACTOR = 20.0


class BucketOutputs:
    """Outputs that belong in a bucket.

    Args:
        bucket: The bucket.
        cache: Copies of its objects.
        folder: Where scratch folders are made.
        allowed: Returns the key that a path means, or a path outside the bucket that the operator allowed.
    """

    def __init__(self, bucket: Bucket, cache: ObjectCache, folder: Path, allowed: Callable[[str], str | Path]) -> None:
        self._bucket = bucket
        self._cache = cache
        self._folder = folder
        self._allowed = allowed
        # Most jobs write nothing: the scratch folder is made when it is needed.
        self._scratch: ScratchFolder | None = None
        self._lock = threading.RLock()
        self._keys: set[str] = set()
        self._known: dict[str, Stamp] = {}
        self._took: dict[str, tuple[float, float]] = {}

    def resolve(self, path: str) -> Path:
        """As `Outputs.resolve`."""
        key = self._allowed(path)
        if isinstance(key, Path):
            return key
        with self._lock, storage_errors(f"the output {key!r}"):
            if self._scratch is None:
                self._scratch = ScratchFolder(self._folder)
            root = self._scratch.root
            found = self._bucket.list_key(key)
            objects, folders = self._bucket.list_folder(key) if found.folder else ([], [])
            self._keys.add(key)
            for each in (key, *folders) if found.folder else ():
                if is_mirrorable(each):
                    (root / each).mkdir(parents=True, exist_ok=True)
            for each in (*objects, found.file):
                # What this job has written or removed is not fetched again.
                if each is not None and is_mirrorable(each.key) and each.key not in self._known:
                    self._fetch(each, root / each.key)
            return root / key

    @property
    def pending(self) -> bool:
        """As `Outputs.pending`."""
        return self._scratch is not None

    def publish(self, *, final: bool = True) -> bool:
        """As `Outputs.publish`."""
        with self._lock:
            if self._scratch is None:
                return True
            root = self._scratch.root
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
        with self._lock:
            scratch, self._scratch = self._scratch, None
            if scratch is not None:
                scratch.close()

    def _fetch(self, wanted: Object, path: Path) -> None:
        if path.exists():
            return
        copy, _ = self._cache.fetch(wanted)
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not a link: the job may write to it.
        shutil.copyfile(copy, path)
        self._known[wanted.key] = stamp_of(path)

    def _files(self, root: Path) -> Iterator[tuple[str, Stamp]]:
        """Yield the keys of the files at the output paths. Links that lead out of the folder do not count."""
        for key in sorted(self._keys):
            top = root / key
            if top.is_dir():
                found = (os.path.join(here, name) for here, _, names in os.walk(top) for name in names)
            else:
                found = iter([str(top)])
            for path in found:
                key = os.path.relpath(path, root)
                if path.endswith(_UNFINISHED) or not is_mirrorable(key) or not os.path.isfile(path):
                    continue
                if os.path.realpath(path).startswith(f"{root}/"):
                    with suppress(FileNotFoundError):
                        yield key, stamp_of(Path(path))

    def _upload(self, key: str, path: Path) -> None:
        self._bucket.check(key)
        with path.open("rb") as file:
            data = file.read(PART + 1)
            if len(data) <= PART:
                self._bucket.put(key, data, {SHA256: hashlib.sha256(data).hexdigest()})
                return
            file.seek(0)
            size = os.fstat(file.fileno()).st_size
            # No digest: the file may grow between two reads. It is cut at the size that it had.
            self._bucket.put_stream(key, (file.read(min(PART, size - at)) for at in range(0, size, PART)), size=size)

    def _is_due(self, key: str) -> bool:
        ended, took = self._took.get(key, (0.0, 0.0))
        return time.monotonic() - ended >= _QUIET_FACTOR * took
