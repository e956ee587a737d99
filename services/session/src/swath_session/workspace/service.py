"""The workspace over the network: files in, files out, without ever blocking the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from functools import partial
from typing import Any, TypeVar

import structlog

from swath.errors import (
    ContentMismatch,
    InvalidInput,
    StorageDenied,
    StorageRefused,
    TimedOut,
    TooLarge,
    WorkspaceQuota,
)
from swath.rpc.shielded import shielded
from swath.storage.workspace.bucket import BucketWorkspace
from swath.storage.workspace.folder import Workspace
from swath_session.settings import SessionSettings
from swath_session.workspace.bucket_catalogue import BucketCatalogue
from swath_session.workspace.bucket_uploads import BucketUploads
from swath_session.workspace.folder_catalogue import FolderCatalogue
from swath_session.workspace.folder_uploads import FolderUploads
from swath_session.workspace.model import Catalogue, Entry, Upload, UploadHeader, Uploads, check_sha256
from swath_session.workspace.quota import UNLIMITED, Quota, UploadQuota
from swath_session.workspace.usage import Usage

T = TypeVar("T")

_log = structlog.get_logger()

_BLOCK = 1 << 20
_MAX_ENTRIES = 1000
_SWEEP_INTERVAL_S = 3600.0
_THREADS = 8


class WorkspaceService:
    """Puts, gets, lists and removes files of a workspace.

    Args:
        workspace: The workspace.
        settings: Limits of uploads.
        usage: Who has uploaded what, where there is a quota.
    """

    def __init__(self, workspace: Workspace, settings: SessionSettings, usage: Usage | None = None) -> None:
        self._settings = settings
        self._catalogue, self._uploads = open_files(workspace, settings.upload_max_bytes)
        # Its own threads: hashing a large file must not hold up others who use the loop's.
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="swath-workspace")
        quota = None if usage is None else Quota(usage, self._catalogue, self._uploads, self._run)
        self._quota = quota
        self._finishing: set[asyncio.Task[Entry]] = set()
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to remove what is left of abandoned uploads."""
        if self._quota is not None:
            self._quota.start()
        self._sweeper = asyncio.create_task(self._keep_sweeping())

    async def stop(self) -> None:
        """End the threads once their work is done."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.wait([self._sweeper])
            self._sweeper = None
        if self._finishing:
            await asyncio.wait(self._finishing)
        if self._quota is not None:
            await self._quota.stop()
        await asyncio.to_thread(self._threads.shutdown)

    async def put(self, header: UploadHeader, chunks: AsyncIterator[bytes], owner: str = "") -> Entry:
        """Store a file and describe it; it is whole and durable when this returns.

        What has arrived when the chunks break off (an exception, a cancelled call, silence) is kept for `resume` if
        the header holds a sha256.

        Args:
            header: What the client says about the file.
            chunks: Its bytes.
            owner: Identity that it counts for.

        Raises:
            As `Uploads.open`, and:
            WorkspaceQuota: The owner has as many bytes as one may have; raised before any is taken if the header holds
                a size.
            ContentMismatch: Size or sha256 is not that of the header.
            TimedOut: No chunk for `upload_idle_s`.
        """
        upload = await self._opened(partial(self._uploads.open, header), lambda upload: upload.abandon(keep=True))
        quota, arrived, finishing = UNLIMITED, header.offset, None
        left: int | None = 0
        try:
            if self._quota is not None:
                quota = await self._quota.begin(owner, upload.path, header)
            async with aclosing(self._grouped(chunks, header.path)) as groups:
                async for group in groups:
                    size = arrived + sum(map(len, group))
                    await quota.reserve(size)
                    await self._run(upload.write, group)
                    arrived = size
            # Once the file is in its place it counts, also where the call is cancelled meanwhile.
            finishing = asyncio.create_task(self._finish(upload, quota, header, arrived))
            self._finishing.add(finishing)
            finishing.add_done_callback(self._finishing.discard)
            return await shielded(finishing)
        except BaseException as error:
            left = _left(error, header, arrived)
            raise
        finally:
            await self._surely(partial(upload.abandon, keep=left is not None))
            if finishing is None:
                await shielded(quota.release(left or 0))

    async def _finish(self, upload: Upload, quota: UploadQuota, header: UploadHeader, size: int) -> Entry:
        try:
            await quota.confirm(size)
            entry = await self._run(upload.finish)
        except Exception as error:
            await quota.release(_left(error, header, size, whole=True) or 0)
            raise
        await quota.commit(size)
        return entry

    async def resume(self, path: str, sha256: str) -> tuple[int, bool]:
        """Return how many bytes of an upload have arrived, and whether the path holds that content already.

        Raises:
            PathDenied, InvalidInput: As in `put`.
        """
        check_sha256(sha256)
        return await self._run(self._uploads.arrived, path, sha256)

    async def get(self, path: str, offset: int = 0, length: int | None = None) -> AsyncGenerator[Entry | bytes, None]:
        """Give a file: first its description, then its bytes from `offset` on, `length` of them at most.

        Raises:
            FileMissing: No such file.
            PathDenied: Not in the workspace.
            InvalidInput: A folder, or an offset beyond its end.
            FileChanged: Somebody wrote into it meanwhile.
        """
        file = await self._opened(partial(self._catalogue.open, path, offset, length), lambda file: file.close())
        try:
            size = file.entry.size
            if offset > size:
                raise InvalidInput(f"{path!r} has {size} bytes, so there is nothing at {offset}")
            end = size if length is None else min(size, offset + length)
            yield file.entry
            while offset < end:
                data = await self._run(file.read, offset, min(_BLOCK, end - offset))
                offset += len(data)
                yield data
        finally:
            await self._surely(file.close)

    async def stat(self, path: str, with_sha256: bool = False) -> Entry:
        """Describe a file or folder.

        Raises:
            FileMissing: Nothing there.
            PathDenied: Not in the workspace.
        """
        return await self._run(self._catalogue.stat, path, with_sha256=with_sha256)

    async def page(
        self, path: str = "", *, recursive: bool = False, with_sha256: bool = False, most: int = 0, after: str = ""
    ) -> tuple[list[Entry], str]:
        """List a folder, a page at a time; see `Catalogue.page`. `most` 0 means 1000, which is also the limit."""
        most = min(most or _MAX_ENTRIES, _MAX_ENTRIES)
        return await self._run(
            self._catalogue.page, path, recursive=recursive, with_sha256=with_sha256, most=most, after=after
        )

    async def delete(self, path: str, *, recursive: bool = False) -> int:
        """Remove a file or folder; see `Catalogue.delete`."""
        if self._quota is not None:
            return await self._quota.delete(path, recursive=recursive)
        return await self._run(self._catalogue.delete, path, recursive=recursive)

    async def sweep(self) -> int:
        """Remove what is left of uploads that nobody went on with; return how many."""
        return await self._run(self._uploads.sweep, self._settings.upload_keep_s)

    async def _opened(self, work: Callable[[], T], release: Callable[[T], None]) -> T:
        """Open something in a thread. A cancelled call does not stop the thread, so what it opens is released then."""
        opening = asyncio.get_running_loop().run_in_executor(self._threads, work)

        def release_opened(opened: asyncio.Future[T]) -> None:
            if opened.exception() is None:
                release(opened.result())

        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(release_opened)
            raise

    async def _grouped(self, chunks: AsyncIterator[bytes], path: str) -> AsyncGenerator[list[bytes], None]:
        """Gather small chunks: a thread is used once per mebibyte."""
        group: list[bytes] = []
        gathered = 0
        while True:
            try:
                async with asyncio.timeout(self._settings.upload_idle_s):
                    chunk = await anext(chunks)
            except StopAsyncIteration:
                break
            except TimeoutError as error:
                raise TimedOut(f"nothing of {path!r} arrived for {self._settings.upload_idle_s:g} s") from error
            group.append(chunk)
            gathered += len(chunk)
            if gathered >= _BLOCK:
                yield group
                group, gathered = [], 0
        if group:
            yield group

    async def _run(self, work: Callable[..., T], *arguments: Any, **options: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(work, *arguments, **options))

    async def _surely(self, work: Callable[[], None]) -> None:
        """Run what must be done, even if the call is cancelled before a thread has begun it."""
        await shielded(asyncio.get_running_loop().run_in_executor(self._threads, work))

    async def _keep_sweeping(self) -> None:
        while True:
            try:
                await self.sweep()
            except Exception:
                _log.exception("abandoned uploads could not be removed; trying again")
            await asyncio.sleep(_SWEEP_INTERVAL_S)


def _left(error: BaseException, header: UploadHeader, arrived: int, *, whole: bool = False) -> int | None:
    """Return how many bytes are left of an upload that failed; None if what is left must go.

    Args:
        error: How it failed.
        header: What the client has said about it.
        arrived: Bytes that have arrived, those of earlier calls included.
        whole: Whether that is all that was sent.
    """
    match error:
        case StorageRefused() | StorageDenied() | TooLarge():
            return None
        case WorkspaceQuota():
            # What came in earlier calls stays where nothing of this one was taken.
            return arrived if 0 < arrived == header.offset else None
        case ContentMismatch():
            # The upload has dropped what it must: of a mismatch only too few bytes can be mended.
            return arrived if whole and arrived < (header.size or 0) else 0
    return arrived


def open_files(workspace: Workspace, max_bytes: int) -> tuple[Catalogue, Uploads]:
    """Return the catalogue of a workspace and its uploads.

    Args:
        workspace: The workspace.
        max_bytes: Largest file taken.
    """
    if isinstance(workspace, BucketWorkspace):
        files = BucketCatalogue(workspace)
        return files, BucketUploads(workspace, files, max_bytes)
    catalogue = FolderCatalogue(workspace)
    return catalogue, FolderUploads(workspace, catalogue, max_bytes)
