"""Uploads to a workspace in a bucket. All of this blocks.

Bytes go straight to where the file will be: an object appears only when it is whole. Those of an upload that may have
to go on at another replica go to pieces beside it as well, under the server's own names.
"""

from __future__ import annotations

import hashlib
import queue
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from swath.errors import ContentMismatch, PathDenied, Stopped, SwathError, TooLarge
from swath.storage.files import HIDDEN
from swath.storage.s3.bucket import PART, SHA256, Bucket
from swath.storage.s3.objects import Object
from swath.storage.workspace.bucket import BucketWorkspace
from swath_session.workspace.bucket_catalogue import BucketCatalogue
from swath_session.workspace.model import Entry, UploadHeader, behind, check_header

_FOLDER = f"{HIDDEN}uploads"
_AHEAD = 4
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
        pieces = _Pieces(self._bucket, key, header.sha256 or "")
        if header.offset and header.offset > (arrived := pieces.arrived()):
            raise behind(header, arrived)
        upload = BucketUpload(self._bucket, key, header, self._max_bytes, pieces, self._catalogue)
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
        return _Pieces(self._bucket, key, sha256).arrived(), False

    def sweep(self, older_s: float) -> int:
        """As `Uploads.sweep`."""
        uploads: dict[str, list[Object]] = {}
        for each in self._bucket.list(_FOLDER):
            uploads.setdefault(each.key.rpartition("/")[0], []).append(each)
        before = (time.time() - older_s) * 10**9
        stale = [pieces for pieces in uploads.values() if max(each.modified_ns for each in pieces) < before]
        self._bucket.delete([each.key for pieces in stale for each in pieces])
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
        pieces: _Pieces,
        catalogue: BucketCatalogue,
    ) -> None:
        self.path = key
        self._bucket = bucket
        self._key = key
        self._header = header
        self._max_bytes = max_bytes
        self._pieces = pieces
        self._catalogue = catalogue
        self._hash = hashlib.sha256()
        self._size = 0
        # What has arrived and is in no piece yet.
        self._tail = bytearray()
        # What has arrived while that is little: a small file is written at once.
        self._head = bytearray()
        self._feed: _Feed | None = None
        self._ended = False
        # A call that is cancelled leaves its write running in a thread; whoever ends the upload waits for that.
        self._turn = threading.Lock()

    def replay(self) -> None:
        """Take in what arrived in earlier calls."""
        for chunk in self._pieces.read(self._header.offset):
            self._take(chunk)

    def write(self, chunks: Iterable[bytes]) -> None:
        """As `Upload.write`."""
        with self._turn:
            for chunk in chunks:
                self._check_size(self._size + len(chunk))
                self._take(chunk)
                if self._header.sha256 is not None:
                    self._tail += chunk
                    if len(self._tail) >= PART:
                        self._keep_tail()

    def finish(self) -> Entry:
        """As `Upload.finish`."""
        header, digest = self._header, self._hash.hexdigest()
        with self._turn:
            if header.size is not None and self._size < header.size:
                # The one mismatch that can be mended: by going on.
                raise ContentMismatch(f"{header.path!r} ended after {self._size} of {header.size} bytes")
            if header.sha256 is not None and digest != header.sha256:
                self._drop()
                raise ContentMismatch(f"{header.path!r} has the sha256 {digest}; expected {header.sha256}")
            if self._feed is None:
                self._bucket.put(self._key, bytes(self._head), {SHA256: digest})
            else:
                self._feed.finish()
            self._ended = True
            # The file is there: what fails from here on is no failure of the upload.
            with suppress(SwathError):
                self._pieces.delete()
            return self._entry(digest)

    def abandon(self, *, keep: bool) -> None:
        """As `Upload.abandon`."""
        with self._turn:
            if self._ended:
                return
            if keep and self._header.sha256 is not None:
                self._ended = True
                if self._feed is not None:
                    self._feed.cancel()
                with suppress(SwathError):
                    self._keep_tail()
            else:
                with suppress(SwathError):
                    self._drop()

    def _take(self, chunk: bytes) -> None:
        self._hash.update(chunk)
        self._size += len(chunk)
        if self._feed is None:
            self._head += chunk
            if len(self._head) <= PART:
                return
            attributes = {SHA256: self._header.sha256} if self._header.sha256 is not None else {}
            size = self._header.size or self._max_bytes
            self._feed = _Feed(self._bucket, self._key, attributes, size)
            head, self._head = bytes(self._head), bytearray()
            for at in range(0, len(head), _BLOCK):
                self._feed.push(head[at : at + _BLOCK])
        else:
            self._feed.push(chunk)

    def _keep_tail(self) -> None:
        if self._tail:
            self._pieces.put(self._size - len(self._tail), bytes(self._tail))
            self._tail.clear()

    def _drop(self) -> None:
        self._ended = True
        if self._feed is not None:
            self._feed.cancel()
        self._pieces.delete()

    def _entry(self, digest: str) -> Entry:
        with suppress(SwathError):
            found = self._bucket.head(self._key)
            # Somebody may have put another one since.
            if found is not None and found.size == self._size:
                return self._catalogue.remember(found, digest)
        return Entry(self._key, False, self._size, digest, time.time_ns(), False)

    def _check_size(self, size: int) -> None:
        path, said = self._header.path, self._header.size
        if said is not None and size > said:
            self._drop()
            raise ContentMismatch(f"{path!r} has more than the {said} bytes that were announced")
        if size > self._max_bytes:
            raise TooLarge(f"{path!r} has more than {self._max_bytes} bytes, and this server takes no more")


class _Pieces:
    """What has arrived of one upload, as objects named by where their bytes begin. They may overlap."""

    def __init__(self, bucket: Bucket, key: str, sha256: str) -> None:
        self._bucket = bucket
        name = hashlib.sha256(f"{key}\0{sha256}".encode()).hexdigest()
        self._folder = f"{_FOLDER}/{name}" if sha256 else ""

    def arrived(self) -> int:
        """Return how many bytes there are from the beginning on without a gap."""
        position = 0
        for start, each in self._all():
            if start > position:
                break
            position = max(position, start + each.size)
        return position

    def read(self, end: int) -> Iterator[bytes]:
        """Give the first bytes, which must have arrived."""
        position = 0
        for start, each in self._all() if end else ():
            if start <= position < min(start + each.size, end):
                stop = min(each.size, end - start)
                yield from self._bucket.read(each.key, start=position - start, end=stop).chunks
                position = start + stop

    def put(self, start: int, data: bytes) -> None:
        self._bucket.put(f"{self._folder}/{start:016d}", data)

    def delete(self) -> None:
        self._bucket.delete([each.key for _, each in self._all()])

    def _all(self) -> list[tuple[int, Object]]:
        if not self._folder:
            return []
        return [(int(each.key.rpartition("/")[2]), each) for each in self._bucket.list(self._folder)]


class _Feed:
    """An object that is written in a thread of its own, as its bytes come."""

    def __init__(self, bucket: Bucket, key: str, attributes: dict[str, str], size: int) -> None:
        self._chunks: queue.Queue[bytes | None] = queue.Queue(_AHEAD)
        self._cancelled = False
        self._error: Exception | None = None
        self._ended = threading.Event()
        arguments = (bucket, key, attributes, size)
        threading.Thread(target=self._run, args=arguments, name="swath-upload", daemon=True).start()

    def push(self, chunk: bytes | None) -> None:
        """Give the next bytes; waits while many are under way."""
        while True:
            if self._ended.is_set() and self._error is not None:
                raise self._error
            with suppress(queue.Full):
                self._chunks.put(chunk, timeout=0.2)
                return

    def finish(self) -> None:
        """Have the object appear."""
        self.push(None)
        self._ended.wait()
        if self._error is not None:
            raise self._error

    def cancel(self) -> None:
        """Have no object appear. Does not wait: the server may be frozen."""
        self._cancelled = True
        with suppress(queue.Full):
            self._chunks.put_nowait(None)

    def _run(self, bucket: Bucket, key: str, attributes: dict[str, str], size: int) -> None:
        try:
            bucket.put_stream(key, self._given(), attributes, size=size)
        except Exception as error:
            self._error = error
        finally:
            self._ended.set()

    def _given(self) -> Iterator[bytes]:
        while (chunk := self._chunks.get()) is not None and not self._cancelled:
            yield chunk
        if self._cancelled:
            raise Stopped("the upload was given up")
