"""A workspace whose files are objects of a bucket: any tool may write them, and all replicas see the same."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from swath.errors import InvalidInput, SwathError
from swath.storage.disk_cache import DiskCache
from swath.storage.files import private_folder
from swath.storage.s3.bucket import Bucket
from swath.storage.s3.location import S3Location
from swath.storage.s3.object_cache import ObjectCache
from swath.storage.s3.objects import Object, shares_stem, stem_of
from swath.storage.scratch import ScratchFolder
from swath.storage.workspace.bucket_outputs import BucketOutputs
from swath.storage.workspace.folder import ConfigFolder, Workspace
from swath.storage.workspace.mirror import Mirror
from swath.storage.workspace.outputs import Outputs
from swath.storage.workspace.paths import CONFIGS, Base

_LIST_FROM = 4
_MAX_CONFIGS = 20_000
_CONFIG_SUFFIXES = (".yaml", ".yml")


class BucketWorkspace(Workspace):
    """A workspace whose root is part of a bucket.

    Methods that return real paths return local copies, as new as the bucket was when the call began or newer. Nobody
    may write to them. Empty folders do not exist; a folder hides a file of the same name.

    Args:
        location: The part of a bucket.
        configs: The configs that ship with the server; never written.
        allow_roots: More folders of this machine that absolute paths may lead to.
        public: How absolute paths name the root.
        cache: Folder for local copies; processes of one user may share it.
        cache_bytes: Bytes of them to keep.

    Attributes:
        bucket: The files.
    """

    def __init__(
        self,
        location: S3Location,
        configs: Path,
        allow_roots: Sequence[Path] = (),
        *,
        public: str,
        cache: Path,
        cache_bytes: int,
        bucket: Bucket | None = None,
    ) -> None:
        self.bucket = bucket or Bucket.open(location)
        self._location = location
        self._cache = cache
        self._cache_bytes = cache_bytes
        folder = private_folder(cache / f"workspace-{location.id}")
        self._trees = folder / "trees"
        self._object_cache = ObjectCache(self.bucket, DiskCache(folder / "copies", cache_bytes))
        self._mirror = Mirror(self.bucket, self._object_cache, ScratchFolder(self._trees), cache_bytes)
        super().__init__(self._mirror.root, configs, allow_roots, public=public)
        self._public = public

    def spec(self) -> dict[str, Any]:
        return {
            "bucket": self._location.spec(),
            "configs": str(self.paths.given_configs),
            "allow_roots": [str(allowed) for allowed in self.paths.given_allow_roots],
            "public": self._public,
            "cache": str(self._cache),
            "cache_bytes": self._cache_bytes,
        }

    def write_all(self, files: Mapping[str, bytes | memoryview], *, base: Base = Base.ROOT) -> list[Path]:
        targets = [self._resolve(path, base, True, lambda real: None) for path in files]
        keys = [self.key(target) for target in targets]
        for path, key in zip(files, keys, strict=True):
            if key is not None:
                self.refuse_place(key, path)
        new: list[str] = []
        try:
            for (path, data), key in zip(files.items(), keys, strict=True):
                if key is None:
                    super().write_all({path: data}, base=base)
                    continue
                known = self.bucket.head(key) is not None
                self.bucket.put(key, data)
                new += [] if known else [key]
        except SwathError:
            # A bucket writes one object at a time: objects replaced before the failure stay replaced.
            with suppress(SwathError):
                self.bucket.delete(new)
            raise
        return targets

    def locate(self, path: str, *, write: bool = False) -> list[str | Path]:
        """Return what a path may mean, in lookup order: keys of the bucket, and paths of this machine.

        Raises:
            PathDenied, InvalidInput: As in `resolve`.
        """
        candidates = self.paths.candidates(path, Base.ROOT, write=write)
        reals = [self.paths.check(each, path, write=write) for each in candidates]
        keys = [self.key(real) for real in reals]
        return [real if key is None else key for real, key in zip(reals, keys, strict=True)]

    def refuse_place(self, key: str, path: str) -> None:
        """Refuse a key that no file can be put to.

        Raises:
            InvalidInput: It is a folder, or lies below a file.
        """
        if not key or self.bucket.list_key(key).folder:
            raise InvalidInput(f"{path!r} is a folder")
        for above in PurePosixPath(key).parents:
            if above.name and self.bucket.head(above.as_posix()) is not None:
                raise InvalidInput(f"{path!r} would lie below the file {above.as_posix()!r}")

    def key(self, real: Path) -> str | None:
        """Return the key of a real path, "" for the root, None for a path outside the bucket.

        Raises:
            PathDenied: No object can have that key.
        """
        if not real.is_relative_to(self.root):
            return None
        key = "" if real == self.root else real.relative_to(self.root).as_posix()
        self.bucket.check(key)
        return key

    def reader(self) -> Callable[[str], Path]:
        self._mirror.pinned = True
        return _Reader(lambda path, bring: self._resolve(path, Base.ROOT, False, bring), self, self._mirror)

    def outputs(self) -> Outputs:
        def allowed(path: str) -> str | Path:
            real = self._resolve(os.path.normpath(path), Base.ROOT, True, lambda real: None)
            key = self.key(real)
            return real if key is None else key

        return BucketOutputs(self.bucket, self._object_cache, self._trees, allowed)

    def config_folders(self, search_paths: Iterable[str], path: str) -> frozenset[ConfigFolder]:
        named: set[str] = set()
        for each in (*search_paths, *([str(Path(path).parent)] if os.path.isabs(path) else ())):
            # Whoever reads a path that is denied reports it.
            with suppress(SwathError):
                own, *_ = self.paths.candidates(each, Base.ROOT, write=False)
                key = self.key(self.paths.check(own, each, write=False))
                named.update(() if key is None else (key,))
        folders = {ConfigFolder(CONFIGS), *map(ConfigFolder, named)}
        for key in named:
            # Configurations name files in sibling folders: `../pipeline/rx.yaml`.
            above, _, _ = key.rpartition("/")
            if above:
                folders.add(ConfigFolder(above, needed=False))
            else:
                folders |= {ConfigFolder("", deep=False), ConfigFolder("pipeline", needed=False)}
        return frozenset(each for each in folders if not any(other.holds(each) for other in folders))

    def gather(self, folder: ConfigFolder) -> None:
        try:
            self._mirror.fetch_folder(folder.key, suffixes=_CONFIG_SUFFIXES, most=_MAX_CONFIGS, deep=folder.deep)
        except InvalidInput:
            if folder.needed:
                raise

    def shown_in(self, text: str) -> str:
        shown = super().shown_in(text)
        trees = f"{self._trees}/"
        while (at := shown.find(trees)) >= 0:
            # The scratch folder of some job's outputs.
            end = at + len(trees) + len(self.root.name)
            shown = f"{shown[:at]}{self._public}{shown[end:]}"
        return shown

    def close(self) -> None:
        self._mirror.close()

    def _fetch(self, real: Path) -> None:
        if key := self.key(real):
            self._mirror.fetch(key)

    def _fetch_folder(self, real: Path) -> None:
        if key := self.key(real):
            self._mirror.fetch(key, content=False)

    def _list_files(self, folder: Path, content: Collection[str]) -> dict[str, Path]:
        key = self.key(folder)
        if key is None:
            return super()._list_files(folder, content)
        inside = f"{key}/" if key else ""
        # An empty tuple would mean every file.
        objects = self._mirror.fetch_folder(key, suffixes=tuple(content) or ("/",))
        return {each.key.removeprefix(inside): self._mirror.path(each.key) for each in objects}


class _Reader:
    """Fetches what one job reads: whole folders at once, and no file of a folder that was fetched already."""

    def __init__(
        self, resolve: Callable[[str, Callable[[Path], None]], Path], workspace: BucketWorkspace, mirror: Mirror
    ) -> None:
        self._resolve = resolve
        self._workspace = workspace
        self._mirror = mirror
        self._folders: set[str] = set()
        self._asked: Counter[str] = Counter()
        self._listings: dict[str, list[Object]] = {}

    def __call__(self, path: str) -> Path:
        return self._resolve(path, self._fetch)

    def _fetch(self, real: Path) -> None:
        key = self._workspace.key(real)
        if key is None or any(not each or key == each or key.startswith(f"{each}/") for each in self._folders):
            return
        if key and (self._fetch_listed(key) or not self._mirror.fetch(key)):
            return
        self._mirror.fetch_folder(key)
        self._folders.add(key)

    def _fetch_listed(self, key: str) -> bool:
        """Fetch a file by the listing of its folder, which is cheaper from the fourth file on."""
        parent, _, name = key.rpartition("/")
        self._asked[parent] += 1
        if self._asked[parent] == _LIST_FROM:
            self._listings[parent] = self._workspace.bucket.list_folder(parent)[0]
        stem = stem_of(name)
        found = [
            each
            for each in self._listings.get(parent, ())
            if each.key == key or shares_stem(each.key.rpartition("/")[2], stem)
        ]
        if not any(each.key == key for each in found):
            return False
        self._mirror.fetch_objects(found)
        return True
