"""The service's end of workers' links."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import grpc

from swath.errors import SwathError
from swath.rpc.server.calls import Calls
from swath.rpc.server.methods import Methods, whole_handler
from swath.rpc.server.reactor import make_server
from swath.rpc.tracing import part_of
from swath.training.v1 import worker_pb2 as pb
from swath_training.link.endpoint import message_limits
from swath_training.link.messages import call_metadata, command_message, hello_of, item_of, lines_of, welcome_message
from swath_training.runs.items import Ack, Command, Event, EventCodec, Hello, Item, Line, Result, Stopped, Welcome
from swath_training.settings import TrainingSettings
from swath_training.supervise.worker_reports import WorkerReports

SERVICE = "swath.training.v1.WorkerLink"
_HELLO_TIMEOUT_S = 10.0
_MESSAGES_AHEAD = 64
_LINES_AHEAD = 4096

_Parcel = tuple[list[Item], list[Line]]
"""Items and log lines of one message."""


class WorkerLinkServicer:
    """Answers WorkerLink.

    Args:
        settings: Times of the link.
        reports: Takes in what workers report.
        codec: Reads their events.
        artifacts: What a worker opens the artifact store by.
        workspace: What a worker opens the workspace by.
    """

    def __init__(
        self,
        settings: TrainingSettings,
        reports: WorkerReports,
        codec: EventCodec,
        artifacts: dict[str, Any],
        workspace: dict[str, Any],
    ) -> None:
        self._settings = settings
        self._reports = reports
        self._codec = codec
        self._artifacts = artifacts
        self._workspace = workspace

    async def Connect(
        self, requests: AsyncIterator[pb.ConnectRequest], context: grpc.aio.ServicerContext
    ) -> AsyncIterator[pb.ConnectResponse]:
        """Serve one link until either end leaves."""
        first = await asyncio.wait_for(anext(requests), _HELLO_TIMEOUT_S)
        hello = hello_of(first)
        if hello.process:
            welcome = await self._reports.welcome_rank(hello)
            await context.send_initial_metadata(call_metadata(welcome))
            yield self._welcome(welcome)
            return
        connection = _Connection(
            min(self._settings.heartbeat_interval_s, self._settings.worker_disconnect_timeout_s / 3)
        )
        welcome = await self._reports.welcome(hello, connection)
        connection.acked = welcome.acked_seq
        with part_of(welcome.traceparent, session=welcome.session_id):
            reader = asyncio.create_task(self._read(requests, hello, connection))
        try:
            await context.send_initial_metadata(call_metadata(welcome))
            yield self._welcome(welcome)
            while (command := await connection.next()) is not None:
                yield command_message(command)
        finally:
            reader.cancel()
            with suppress(asyncio.CancelledError):
                await reader
            self._reports.disconnected(hello.run_id, connection)

    def _welcome(self, welcome: Welcome) -> pb.ConnectResponse:
        welcome = replace(welcome, artifacts=self._artifacts, workspace=self._workspace)
        return welcome_message(welcome, self._settings.heartbeat_interval_s, self._settings.worker_disconnect_timeout_s)

    async def _read(self, requests: AsyncIterator[pb.ConnectRequest], hello: Hello, connection: _Connection) -> None:
        """Take in what the worker sends; a full queue holds the worker back through the stream's flow control."""
        arrived: asyncio.Queue[_Parcel | None] = asyncio.Queue(_MESSAGES_AHEAD)
        writer = asyncio.create_task(self._write(arrived, hello, connection))
        try:
            async for message in requests:
                self._reports.heartbeat(hello.run_id, hello.attempt)
                match message.WhichOneof("message"):
                    case "items":
                        await arrived.put(([self._item(item) for item in message.items.items], []))
                    case "lines":
                        await arrived.put(([], lines_of(message.lines)))
            await arrived.put(None)
            await writer
            connection.close(None)
        except SwathError as error:
            connection.close(error)
        finally:
            writer.cancel()

    def _item(self, message: pb.Item) -> Item:
        item = item_of(message)
        match item.body:
            case Event() as event:
                return replace(item, body=self._codec.complete(event))
            case (Result() | Stopped()) as end if end.final is not None:
                return replace(item, body=replace(end, final=self._codec.complete(end.final)))
            case _:
                return item

    async def _write(self, arrived: asyncio.Queue[_Parcel | None], hello: Hello, connection: _Connection) -> None:
        """Bring to disk what has arrived while the last commit was under way, then acknowledge it."""
        lines: list[Line] = []
        try:
            while (parcel := await arrived.get()) is not None:
                items = parcel[0]
                lines += parcel[1]
                ended = False
                while not ended and not arrived.empty():
                    more = arrived.get_nowait()
                    ended = more is None
                    if more is not None:
                        items += more[0]
                        lines += more[1]
                # In one commit, and lines first: a run that is over has all of them. That they cannot be written is no
                # reason to hold the run up.
                kept, _ = await asyncio.gather(self._keep(hello, lines), self._receive(hello, connection, items))
                lines = [] if kept else lines[-_LINES_AHEAD:]
                if ended:
                    return
        except SwathError as error:
            connection.close(error)

    async def _keep(self, hello: Hello, lines: list[Line]) -> bool:
        return not lines or await self._reports.keep_lines(hello.run_id, hello.attempt, lines)

    async def _receive(self, hello: Hello, connection: _Connection, items: list[Item]) -> None:
        if items:
            await self._reports.receive(hello.run_id, hello.attempt, items)
            connection.acked = items[-1].seq
            connection.send(Ack(connection.acked))


class _Connection:
    """Commands on their way to one worker.

    Args:
        beat_s: Seconds after which, without a command, the last acknowledgement is sent again: a service that is silent
            counts as frozen.

    Attributes:
        acked: Last item on disk.
    """

    def __init__(self, beat_s: float) -> None:
        self._beat_s = beat_s
        self.acked = 0
        self._commands: asyncio.Queue[Command | SwathError | None] = asyncio.Queue()

    def send(self, command: Command) -> None:
        self._commands.put_nowait(command)

    def close(self, error: SwathError | None) -> None:
        self._commands.put_nowait(error)

    async def next(self) -> Command | None:
        """Return the next command, None when the link ends well.

        Raises:
            SwathError: The link ends for a reason.
        """
        try:
            command = await asyncio.wait_for(self._commands.get(), self._beat_s)
        except TimeoutError:
            return Ack(self.acked)
        if isinstance(command, SwathError):
            raise command
        return command


class WorkerServer:
    """A server of its own for the workers of this machine: it outlives the public one while that drains.

    Args:
        address: Where it listens, as gRPC writes it.
        servicer: Answers.
        max_message_bytes: Largest message that goes over a link, either way.
    """

    def __init__(self, address: str, servicer: WorkerLinkServicer, max_message_bytes: int) -> None:
        self._server = make_server([("grpc.so_reuseport", 0), *message_limits(max_message_bytes)])
        self._server.add_generic_rpc_handlers((Calls((worker_handler(servicer),)),))
        self._server.add_insecure_port(address)

    async def start(self) -> None:
        """Answer."""
        await self._server.start()

    async def stop(self) -> None:
        """Cut all links."""
        await self._server.stop(None)


def worker_handler(servicer: WorkerLinkServicer) -> Methods:
    """Return what a server registers to answer WorkerLink."""
    return whole_handler(SERVICE, servicer)
