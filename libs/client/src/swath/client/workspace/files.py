"""The server's files: data and configs on their way up, results on their way down; blocking and asyncio."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from swath.client.config import ClientConfig
from swath.client.errors import CallError, TransferError, UnavailableError, translated
from swath.client.workspace.transfer import Download, Entry, Progress, Upload
from swath.workspace.v1 import workspace_pb2 as wpb
from swath.workspace.v1.workspace_pb2_grpc import WorkspaceServiceStub


class Workspace:
    """The server's files, as `Client.workspace`."""

    def __init__(self, config: ClientConfig, stub: WorkspaceServiceStub) -> None:
        self._config = config
        self._stub = stub

    def put(self, source: str | Path | bytes, path: str, progress: Progress | None = None) -> Entry:
        """Store a file, or bytes. What the server has of it already is not sent again.

        Raises:
            LocalError: The file cannot be read.
            CallError: The server refuses it.
        """
        upload, failures = Upload(source, path, progress), 0
        while True:
            try:
                return self._put(upload)
            except UnavailableError as error:
                failures += 1
                self._pause(failures, error)

    def _put(self, upload: Upload) -> Entry:
        known = self._call("ResumePut", upload.resume_request())
        if known.complete:
            upload.already_there()
            return Entry.of(self._call("Stat", upload.stat_request()).entry)
        with translated("Put", self._config.target):
            reply = self._stub.Put(upload.messages(known.offset), metadata=self._config.call_metadata())
        return Entry.of(reply.entry)

    def get(self, path: str, to: str | Path, progress: Progress | None = None) -> Entry:
        """Fetch a file; a broken download is gone on with.

        Raises:
            TransferError: What arrived is not what the server has.
        """
        failures = 0
        with Download(path, to, progress) as download:
            while True:
                resumed = download.request().offset > 0
                try:
                    self._get(download)
                    return download.finish()
                except UnavailableError as error:
                    failures += 1
                    self._pause(failures, error)
                except (TransferError, CallError):
                    # The rest of another version of the file does not fit a part file from before.
                    if not resumed:
                        raise
                    download.restart()

    def _get(self, download: Download) -> None:
        with translated("Get", self._config.target):
            for message in self._stub.Get(download.request(), metadata=self._config.call_metadata()):
                download.receive(message)

    def read(self, path: str) -> bytes:
        """The bytes of a small file."""
        with translated("Get", self._config.target):
            replies = self._stub.Get(wpb.GetRequest(path=path), metadata=self._config.call_metadata())
            return b"".join(reply.chunk for reply in replies)

    def stat(self, path: str, *, sha256: bool = False) -> Entry:
        """What lies under a path."""
        return Entry.of(self._call("Stat", wpb.StatRequest(path=path, with_sha256=sha256)).entry)

    def list(self, path: str = "", *, recursive: bool = False, sha256: bool = False) -> Iterator[Entry]:
        """Entries of a folder, in order."""
        request = wpb.ListRequest(path=path, recursive=recursive, with_sha256=sha256)
        while True:
            page = self._call("List", request)
            yield from map(Entry.of, page.entries)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def delete(self, path: str, *, recursive: bool = False) -> int:
        """Remove a file or folder; returns how many files and folders went."""
        return self._call("Delete", wpb.DeleteRequest(path=path, recursive=recursive)).removed

    def _call(self, method: str, request: Any) -> Any:
        with translated(method, self._config.target):
            return getattr(self._stub, method)(
                request, timeout=self._config.timeout_s, metadata=self._config.call_metadata()
            )

    def _pause(self, failures: int, error: UnavailableError) -> None:
        if failures >= self._config.retry.attempts:
            raise error
        time.sleep(error.retry_after_s or self._config.retry.pause_s(failures))


class AsyncWorkspace:
    """As `swath.client.Workspace`."""

    def __init__(self, config: ClientConfig, stub: Any) -> None:
        self._config = config
        self._stub = stub

    async def put(self, source: str | Path | bytes, path: str, progress: Progress | None = None) -> Entry:
        """As `Workspace.put`."""
        upload, failures = await asyncio.to_thread(Upload, source, path, progress), 0
        while True:
            try:
                return await self._put(upload)
            except UnavailableError as error:
                failures += 1
                await self._pause(failures, error)

    async def _put(self, upload: Upload) -> Entry:
        known = await self._call("ResumePut", upload.resume_request())
        if known.complete:
            upload.already_there()
            return Entry.of((await self._call("Stat", upload.stat_request())).entry)
        with translated("Put", self._config.target):
            reply = await self._stub.Put(upload.messages(known.offset), metadata=self._config.call_metadata())
        return Entry.of(reply.entry)

    async def get(self, path: str, to: str | Path, progress: Progress | None = None) -> Entry:
        """As `Workspace.get`."""
        failures = 0
        with Download(path, to, progress) as download:
            while True:
                resumed = download.request().offset > 0
                try:
                    await self._get(download)
                    return await asyncio.to_thread(download.finish)
                except UnavailableError as error:
                    failures += 1
                    await self._pause(failures, error)
                except (TransferError, CallError):
                    if not resumed:
                        raise
                    download.restart()

    async def _get(self, download: Download) -> None:
        with translated("Get", self._config.target):
            async for message in self._stub.Get(download.request(), metadata=self._config.call_metadata()):
                download.receive(message)

    async def read(self, path: str) -> bytes:
        """As `Workspace.read`."""
        with translated("Get", self._config.target):
            replies = self._stub.Get(wpb.GetRequest(path=path), metadata=self._config.call_metadata())
            return b"".join([reply.chunk async for reply in replies])

    async def stat(self, path: str, *, sha256: bool = False) -> Entry:
        """As `Workspace.stat`."""
        return Entry.of((await self._call("Stat", wpb.StatRequest(path=path, with_sha256=sha256))).entry)

    async def list(self, path: str = "", *, recursive: bool = False, sha256: bool = False) -> AsyncIterator[Entry]:
        """As `Workspace.list`, for ``async for``."""
        request = wpb.ListRequest(path=path, recursive=recursive, with_sha256=sha256)
        while True:
            page = await self._call("List", request)
            for entry in page.entries:
                yield Entry.of(entry)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    async def delete(self, path: str, *, recursive: bool = False) -> int:
        """As `Workspace.delete`."""
        return (await self._call("Delete", wpb.DeleteRequest(path=path, recursive=recursive))).removed

    async def _call(self, method: str, request: Any) -> Any:
        with translated(method, self._config.target):
            return await getattr(self._stub, method)(
                request, timeout=self._config.timeout_s, metadata=self._config.call_metadata()
            )

    async def _pause(self, failures: int, error: UnavailableError) -> None:
        if failures >= self._config.retry.attempts:
            raise error
        await asyncio.sleep(error.retry_after_s or self._config.retry.pause_s(failures))
