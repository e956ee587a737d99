"""Protobuf in and out."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

import grpc

from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.errors import InvalidInput
from swath.rpc.caller import caller
from swath.workspace.v1 import workspace_pb2 as ws
from swath_session.sessions.service import SessionService
from swath_session.workspace.model import Entry, UploadHeader
from swath_session.workspace.service import WorkspaceService

Context = grpc.aio.ServicerContext


class SessionServicer:
    """The session service's part of cuvis_ai.v1.CuvisAIService."""

    def __init__(self, service: SessionService) -> None:
        self._service = service

    async def CreateSession(self, request: pb.CreateSessionRequest, context: Context) -> pb.CreateSessionResponse:
        session = await self._service.create()
        return pb.CreateSessionResponse(session_id=session.id)

    async def SetSessionSearchPaths(
        self, request: pb.SetSessionSearchPathsRequest, context: Context
    ) -> pb.SetSessionSearchPathsResponse:
        append = request.append if request.HasField("append") else None
        current, rejected = await self._service.set_search_paths(request.session_id, request.search_paths, append)
        return pb.SetSessionSearchPathsResponse(success=True, current_paths=current, rejected_paths=rejected)

    async def CloseSession(self, request: pb.CloseSessionRequest, context: Context) -> pb.CloseSessionResponse:
        await self._service.close(request.session_id)
        return pb.CloseSessionResponse(success=True)


class WorkspaceServicer:
    """swath.workspace.v1.WorkspaceService."""

    def __init__(self, service: WorkspaceService) -> None:
        self._service = service

    async def Put(self, requests: AsyncIterator[ws.PutRequest], context: Context) -> ws.PutResponse:
        first = await anext(requests, None)
        if first is None or first.WhichOneof("part") != "header":
            raise InvalidInput("the first message of a Put must hold the header")
        message = first.header
        header = UploadHeader(
            path=message.path,
            size=message.size if message.HasField("size") else None,
            sha256=message.sha256 if message.HasField("sha256") else None,
            offset=message.offset,
        )
        async with aclosing(_chunks(requests, sized=header.size is not None)) as chunks:
            who = caller()
            entry = await self._service.put(header, chunks, "" if who is None else who.name)
            return ws.PutResponse(entry=_entry(entry))

    async def ResumePut(self, request: ws.ResumePutRequest, context: Context) -> ws.ResumePutResponse:
        offset, complete = await self._service.resume(request.path, request.sha256)
        return ws.ResumePutResponse(offset=offset, complete=complete)

    async def Get(self, request: ws.GetRequest, context: Context) -> AsyncIterator[ws.GetResponse]:
        length = request.length if request.HasField("length") else None
        async with aclosing(self._service.get(request.path, request.offset, length)) as parts:
            async for part in parts:
                if isinstance(part, Entry):
                    yield ws.GetResponse(header=ws.GetHeader(entry=_entry(part), offset=request.offset))
                else:
                    yield ws.GetResponse(chunk=part)

    async def Stat(self, request: ws.StatRequest, context: Context) -> ws.StatResponse:
        return ws.StatResponse(entry=_entry(await self._service.stat(request.path, request.with_sha256)))

    async def List(self, request: ws.ListRequest, context: Context) -> ws.ListResponse:
        entries, following = await self._service.page(
            request.path,
            recursive=request.recursive,
            with_sha256=request.with_sha256,
            most=request.page_size,
            after=request.page_token,
        )
        return ws.ListResponse(entries=map(_entry, entries), next_page_token=following)

    async def Delete(self, request: ws.DeleteRequest, context: Context) -> ws.DeleteResponse:
        return ws.DeleteResponse(removed=await self._service.delete(request.path, recursive=request.recursive))


async def _chunks(requests: AsyncIterator[ws.PutRequest], *, sized: bool) -> AsyncGenerator[bytes, None]:
    ended = False
    async for request in requests:
        if ended or request.WhichOneof("part") == "header":
            raise InvalidInput("a Put is one header, then chunks, then at most one end")
        ended = request.WhichOneof("part") == "end"
        yield request.chunk
    # grpc ends the iteration quietly when a client is cut off, so silence alone does not mean that a file is whole.
    if not (sized or ended):
        raise InvalidInput("the stream stopped without an end, and the header gave no size: the file may not be whole")


def _entry(entry: Entry) -> ws.Entry:
    message = ws.Entry(
        path=entry.path,
        kind=ws.KIND_FOLDER if entry.folder else ws.KIND_FILE,
        size=entry.size,
        sha256=entry.sha256,
        shipped=entry.shipped,
    )
    message.modified.FromNanoseconds(entry.modified_ns)
    return message
