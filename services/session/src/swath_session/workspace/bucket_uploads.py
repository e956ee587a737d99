"""Uploads to a workspace in a bucket. All of this blocks.

Bytes are written straight to the file's own object, which appears only when it is whole. Those of an upload that may
be resumed at another replica are kept in part objects as well, under the server's own names.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from swath.errors import ContentMismatch, PathDenied, SwathError, TooLarge
from swath.storage.s3.bucket import PART, SHA256, Bucket
from swath.storage.s3.objects import Object
from swath.storage.workspace.bucket import BucketWorkspace
from swath_session.workspace.bucket_catalogue import BucketCatalogue
from swath_session.workspace.model import Entry, UploadHeader, behind, check_header
from swath_session.workspace.object_writer import ObjectWriter
from swath_session.workspace.upload_parts import PARTS_FOLDER, UploadParts

_BLOCK = 1 << 20


class BucketUploads:
    """The uploads of a workspace in a bucket.

    The same upload may come twice at once, here or at another replica: both end with the same file.

    Args:
        workspace: Where files go.
        catalogue: Describes them.
        max_bytes: Largest file taken.
    """

    def __init__(self, workspace: BucketWorkspace, catalogue: BucketCatalogue, max_bytes: int) -> None:
        self._workspace = workspace
        self._bucket = workspace.bucket
        self._catalogue = catalogue
        self._max_bytes = max_bytes

    def open(self, header: UploadHeader) -> BucketUpload:
        """As `Uploads.open`."""
        key = self._key(header.path)
        check_header(header)
        if header.size is not None and header.size > self._max_bytes:
            raise TooLarge(
                f"{header.path!r} has {header.size} bytes; this server takes files of {self._max_bytes} bytes at most"
            )
        parts = UploadParts(self._bucket, key, header.sha256 or "")
        if header.offset and header.offset > (arrived := parts.arrived()):
            raise behind(header, arrived)
        upload = BucketUpload(self._bucket, key, header, self._max_bytes, parts, self._catalogue)
        try:
            upload.replay()
        except BaseException:
            upload.abandon(keep=True)
            raise
        return upload

    def arrived(self, path: str, sha256: str) -> tuple[int, bool]:
        """As `Uploads.arrived`."""
        key = self._key(path)
        found = self._bucket.head(key)
        if found is not None and self._catalogue.described(found).sha256 == sha256:
            return found.size, True
        return UploadParts(self._bucket, key, sha256).arrived(), False

    def sweep(self, older_s: float) -> int:
        """As `Uploads.sweep`."""
        uploads: dict[str, list[Object]] = {}
        for each in self._bucket.list(PARTS_FOLDER):
            uploads.setdefault(each.key.rpartition("/")[0], []).append(each)
        before = (time.time() - older_s) * 10**9
        stale = [parts for parts in uploads.values() if max(each.modified_ns for each in parts) < before]
        self._bucket.delete([each.key for parts in stale for each in parts])
        return len(stale)

    def _key(self, path: str) -> str:
        [key] = self._workspace.locate(path, write=True)
        if isinstance(key, Path):
            raise PathDenied(f"the path {path[:200]!r} is not in the workspace; files are put there only")
        self._workspace.refuse_place(key, path)
        return key


class BucketUpload:
    """One upload under way.

    Attributes:
        path: Where the file will be, from the workspace's root.
    """

    def __init__(
        self,
        bucket: Bucket,
        key: str,
        header: UploadHeader,
        max_bytes: int,
        parts: UploadParts,
        catalogue: BucketCatalogue,
    ) -> None:
        self.path = key
        self._bucket = bucket
        self._key = key
        self._header = header
        self._max_bytes = max_bytes
        self._parts = parts
        self._catalogue = catalogue
        self._hash = hashlib.sha256()
        self._size = 0
        # What has arrived and is in no part yet.
        self._tail = bytearray()
        # What has arrived while that is little: a small file is written at once.
        self._head = bytearray()
        self._writer: ObjectWriter | None = None
        self._ended = False
        # A call that is cancelled leaves its write running in a thread; what ends the upload waits for that.
        self._lock = threading.Lock()

    def replay(self) -> None:
        """Begin with what arrived in earlier calls."""
        for chunk in self._parts.read(self._header.offset):
            self._append(chunk)

    def write(self, chunks: Iterable[bytes]) -> None:
        """As `Upload.write`."""
        with self._lock:
            for chunk in chunks:
                self._check_size(self._size + len(chunk))
                self._append(chunk)
                if self._header.sha256 is not None:
                    self._tail += chunk
                    if len(self._tail) >= PART:
                        self._keep_tail()

    def finish(self) -> Entry:
        """As `Upload.finish`."""
        header, digest = self._header, self._hash.hexdigest()
        with self._lock:
            if header.size is not None and self._size < header.size:
                # The one mismatch that can be mended: by going on.
                raise ContentMismatch(f"{header.path!r} ended after {self._size} of {header.size} bytes")
            if header.sha256 is not None and digest != header.sha256:
                self._drop()
                raise ContentMismatch(f"{header.path!r} has the sha256 {digest}; expected {header.sha256}")
            if self._writer is None:
                self._bucket.put(self._key, bytes(self._head), {SHA256: digest})
            else:
                self._writer.finish()
            self._ended = True
            # The file is there: what fails from here on is no failure of the upload.
            with suppress(SwathError):
                self._parts.delete()
            return self._entry(digest)

    def abandon(self, *, keep: bool) -> None:
        """As `Upload.abandon`."""
        with self._lock:
            if self._ended:
                return
            if keep and self._header.sha256 is not None:
                self._ended = True
                if self._writer is not None:
                    self._writer.cancel()
                with suppress(SwathError):
                    self._keep_tail()
            else:
                with suppress(SwathError):
                    self._drop()

    def _append(self, chunk: bytes) -> None:
        self._hash.update(chunk)
        self._size += len(chunk)
        if self._writer is None:
            self._head += chunk
            if len(self._head) <= PART:
                return
            attributes = {SHA256: self._header.sha256} if self._header.sha256 is not None else {}
            size = self._header.size or self._max_bytes
            self._writer = ObjectWriter(self._bucket, self._key, attributes, size)
            head, self._head = bytes(self._head), bytearray()
            for at in range(0, len(head), _BLOCK):
                self._writer.push(head[at : at + _BLOCK])
        else:
            self._writer.push(chunk)

    def _keep_tail(self) -> None:
        if self._tail:
            self._parts.put(self._size - len(self._tail), bytes(self._tail))
            self._tail.clear()

    def _drop(self) -> None:
        self._ended = True
        if self._writer is not None:
            self._writer.cancel()
        self._parts.delete()

    def _entry(self, digest: str) -> Entry:
        with suppress(SwathError):
            found = self._bucket.head(self._key)
            # Another file may have replaced it since.
            if found is not None and found.size == self._size:
                return self._catalogue.remember(found, digest)
        return Entry(self._key, False, self._size, digest, time.time_ns(), False)

    def _check_size(self, size: int) -> None:
        path, announced = self._header.path, self._header.size
        if announced is not None and size > announced:
            self._drop()
            raise ContentMismatch(f"{path!r} has more than the {announced} bytes that were announced")
        if size > self._max_bytes:
            raise TooLarge(f"{path!r} has more than {self._max_bytes} bytes, and this server takes no more")
