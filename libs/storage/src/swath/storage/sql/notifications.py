"""Notifications by which replicas wake one another when a write is committed.

A notification says that something has changed, never what: the tables are the truth, and a replica that was
disconnected for a while reads them again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from typing import Any, NoReturn

import structlog
from sqlalchemy import Connection, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from swath.retry import Backoff, Retry
from swath.storage.sql.engine import database_of
from swath.storage.sql.sqlite import PENDING, SQLite

_log = structlog.get_logger("swath.storage")

_RECONNECT = Retry(on=Exception, max_s=2.0)
_KEEPALIVE_INTERVAL_S = 5.0
_KEEPALIVE_TIMEOUT_S = 2.0
# Maximum notifications that wait for a subscriber.
_MAX_PENDING = 10_000


class _End:
    """Follows the last notification."""


_END = _End()


def notify(connection: Connection, channel: str, payload: str) -> None:
    """Notify all replicas, this one included, when the transaction is committed.

    Args:
        connection: Of a write transaction.
        channel: What has changed, such as "session.closed".
        payload: Which one; at most 7 KB.
    """
    if connection.dialect.name == "postgresql":
        schema = connection.info.get("swath_schema") or _schema(connection)
        connection.execute(select(func.pg_notify(_channel(schema), f"{channel} {payload}")))
    else:
        connection.info.setdefault(PENDING, []).append((channel, payload))


class Notifications:
    """Receives the notifications of a database.

    Args:
        engine: From `open_engine`. Of a SQLite file only this process's own notifications are received.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._database = database_of(engine)
        self._queues: dict[asyncio.Queue[str | _End | None], str] = {}
        self._closed = False
        self._listening: asyncio.Task[None] | None = None
        self._connected = False
        self._loop = asyncio.get_running_loop()
        if isinstance(self._database, SQLite):
            self._database.listeners.append(self._on_commit)
            self._connected = True

    async def subscribe(self, channel: str) -> AsyncGenerator[str | None]:
        """Yield payloads of a channel until `close`.

        None comes first, and after each loss of the connection: notifications before it may be missing, so the
        subscriber has to read the tables.
        """
        if self._closed:
            return
        queue: asyncio.Queue[str | _End | None] = asyncio.Queue()
        self._queues[queue] = channel
        if self._connected:
            queue.put_nowait(None)
        elif self._listening is None:
            self._listening = asyncio.create_task(self._listen())
        try:
            while not isinstance(payload := await queue.get(), _End):
                yield payload
        finally:
            del self._queues[queue]

    async def close(self) -> None:
        """End all subscriptions."""
        self._closed = True
        for queue in self._queues:
            queue.put_nowait(_END)
        if isinstance(self._database, SQLite) and self._on_commit in self._database.listeners:
            self._database.listeners.remove(self._on_commit)
        if self._listening is not None:
            self._listening.cancel()
            with suppress(asyncio.CancelledError):
                await self._listening

    def _publish(self, channel: str | None, payload: str | None) -> None:
        if self._closed:
            return
        for queue, wanted in self._queues.items():
            if channel is not None and channel != wanted:
                continue
            behind = queue.qsize() >= _MAX_PENDING
            while behind and not queue.empty():
                queue.get_nowait()
            # A subscriber that is so far behind has to read the tables.
            queue.put_nowait(None if behind else payload)

    # Of this process

    def _on_commit(self, notifications: Sequence[tuple[str, str]]) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._publish_all, notifications)

    def _publish_all(self, notifications: Sequence[tuple[str, str]]) -> None:
        for channel, payload in notifications:
            self._publish(channel, payload)

    # Of Postgres

    async def _listen(self) -> None:
        backoff = Backoff(_RECONNECT)
        while True:
            try:
                await self._listen_until_lost()
            except Exception as error:
                _log.warning("no notifications of other replicas for a while", error=str(error) or repr(error))
                if self._connected:
                    backoff.succeeded()
                self._connected = False
                pause = backoff.failed(error)
            await asyncio.sleep(pause)

    async def _listen_until_lost(self) -> NoReturn:
        """Listen on a connection of its own until that breaks, and raise what broke it."""
        database: Any = self._database
        connection = await database.connect()
        broken = asyncio.Event()
        try:
            connection.add_termination_listener(lambda _: broken.set())
            await connection.add_listener(_channel(database.schema), self._on_notification)
            self._connected = True
            self._publish(None, None)
            while True:
                with suppress(TimeoutError):
                    await asyncio.wait_for(broken.wait(), _KEEPALIVE_INTERVAL_S)
                    raise ConnectionError("the database server ended the connection")
                # A server that froze, or a network that swallows everything, breaks no connection.
                await connection.execute("SELECT 1", timeout=_KEEPALIVE_TIMEOUT_S)
        finally:
            connection.terminate()

    def _on_notification(self, connection: object, pid: int, channel: str, text: str) -> None:
        name, _, payload = text.partition(" ")
        self._publish(name, payload)


def _channel(schema: str) -> str:
    return f"swath_{schema}"


def _schema(connection: Connection) -> str:
    found = str(connection.exec_driver_sql("SELECT current_schema()").scalar_one())
    connection.info["swath_schema"] = found
    return found
