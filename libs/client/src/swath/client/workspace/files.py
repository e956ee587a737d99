"""The server's files: data and configs on their way up, results on their way down; blocking and asyncio."""

from __future__ import annotations

import asyncio
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
        self._retry = config.retry.rule(UnavailableError, attempts=config.retry.attempts)

    def put(self, source: str | Path | bytes, path: str, progress: Progress | None = None) -> Entry:
        """Store a file, or bytes. What the server has of it already is not sent again.

        Raises:
            LocalError: The file cannot be read.
            CallError: The server refuses it.
        """
        upload = Upload(source, path, progress)
        return self._retry.call(lambda: self._put(upload))

    def _put(self, upload: Upload) -> Entry:
        known = self._call("ResumePut", upload.resume_request())
        if known.complete:
            upload.already_there()
            return Entry.of(self._call("Stat", upload.stat_request()).entry)
        with translated("Put", self._config.target):
            reply = self._stub.Put(upload.messages(known.offset), metadata=self._config.call_metadata())
        return Entry.of(reply.entry)

    def get(self, path: str, to: str | Path, progress: Progress | None = None) -> Entry:
        """Fetch a file; a broken download is resumed.

        Raises:
            TransferError: What arrived is not what the server has.
        """
        with Download(path, to, progress) as download:
            return self._retry.call(lambda: self._get(download))

    def _get(self, download: Download) -> Entry:
        resumed = download.request().offset > 0
        try:
            return self._receive(download)
        except UnavailableError:
            raise
        except (TransferError, CallError):
            # The rest of another version of the file does not fit a part file from before.
            if not resumed:
                raise
        download.restart()
        return self._receive(download)

    def _receive(self, download: Download) -> Entry:
        with translated("Get", self._config.target):
            for message in self._stub.Get(download.request(), metadata=self._config.call_metadata()):
                download.receive(message)
        return download.finish()

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


class AsyncWorkspace:
    """As `swath.client.Workspace`."""

    def __init__(self, config: ClientConfig, stub: Any) -> None:
        self._config = config
        self._stub = stub
        self._retry = config.retry.rule(UnavailableError, attempts=config.retry.attempts)

    async def put(self, source: str | Path | bytes, path: str, progress: Progress | None = None) -> Entry:
        """As `Workspace.put`."""
        upload = await asyncio.to_thread(Upload, source, path, progress)
        return await self._retry.call_async(lambda: self._put(upload))

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
        with Download(path, to, progress) as download:
            return await self._retry.call_async(lambda: self._get(download))

    async def _get(self, download: Download) -> Entry:
        resumed = download.request().offset > 0
        try:
            return await self._receive(download)
        except UnavailableError:
            raise
        except (TransferError, CallError):
            if not resumed:
                raise
        download.restart()
        return await self._receive(download)

    async def _receive(self, download: Download) -> Entry:
        with translated("Get", self._config.target):
            async for message in self._stub.Get(download.request(), metadata=self._config.call_metadata()):
                download.receive(message)
        return await asyncio.to_thread(download.finish)

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
