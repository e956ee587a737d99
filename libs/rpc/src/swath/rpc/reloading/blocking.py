"""The blocking channel whose TLS files may change."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import grpc

from swath.rpc.reloading import connections
from swath.rpc.reloading.connections import Connections, Method, log, may_replace
from swath.rpc.tls import Material
from swath.rpc.watched_files import Watched

_FIRST_CALL_S = 1.0
"""A call that finds changed files waits so long for the new connection; others do not."""


class ReloadingChannel(grpc.Channel):
    """A blocking channel whose certificates may change. The files are looked at when calls are made.

    Args:
        files: The TLS files.
        connect: Makes a channel.

    Attributes:
        connections: What calls go over.
    """

    def __init__(self, files: Watched[Material], connect: Callable[[Material], grpc.Channel]) -> None:
        self.connections = Connections(files, connect)
        self._lock = threading.Lock()
        self._looked_at = time.monotonic()
        self._mover: threading.Thread | None = None
        self._closed = threading.Event()

    def unary_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """As `grpc.Channel`."""
        return Method(self.connections, self._look, "unary_unary", method, *args, **kwargs)

    def unary_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """As `grpc.Channel`."""
        return Method(self.connections, self._look, "unary_stream", method, *args, **kwargs)

    def stream_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """As `grpc.Channel`."""
        return Method(self.connections, self._look, "stream_unary", method, *args, **kwargs)

    def stream_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """As `grpc.Channel`."""
        return Method(self.connections, self._look, "stream_stream", method, *args, **kwargs)

    def subscribe(self, callback: Callable[[grpc.ChannelConnectivity], None], try_to_connect: bool = False) -> None:
        """As `grpc.Channel`, of the connection that new calls take."""
        self.connections.current.channel.subscribe(callback, try_to_connect)

    def unsubscribe(self, callback: Callable[[grpc.ChannelConnectivity], None]) -> None:
        """As `grpc.Channel`."""
        for channel in self.connections.channels():
            channel.unsubscribe(callback)

    def close(self) -> None:
        """Close the channel; calls in flight end."""
        self._closed.set()
        with self._lock:
            mover = self._mover
        if mover is not None:
            mover.join()
        for channel in self.connections.channels():
            channel.close()

    def __enter__(self) -> ReloadingChannel:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _look(self) -> None:
        """Close what is idle, and begin to take up changed files. The call that finds them waits a little."""
        with self._lock:
            now = time.monotonic()
            if self._mover is not None or self._closed.is_set() or now - self._looked_at < connections.POLL_INTERVAL_S:
                return
            self._looked_at = now
            # Not as soon as the last call ends: its answer may not have been read yet.
            idle = self.connections.take_idle()
            mover = None
            if material := self.connections.changed():
                self._mover = mover = threading.Thread(target=self._move, args=(material,), daemon=True)
                mover.start()
        for channel in idle:
            channel.close()
        if mover is not None:
            mover.join(_FIRST_CALL_S)

    def _move(self, material: Material) -> None:
        try:
            new = self.connections.open(material)
            ready = self._await(new.channel, connections.READY_TIMEOUT_S)
            if self._closed.is_set() or not (ready or may_replace(self._await(self.connections.current.channel, 0.5))):
                new.channel.close()
            else:
                self.connections.replace(new)
        except Exception:
            log.exception("changed TLS files could not be taken up; trying again")
        finally:
            with self._lock:
                self._mover = None

    def _await(self, channel: grpc.Channel, timeout_s: float) -> bool:
        """Wait until a channel is ready; return whether it is."""
        ready = grpc.channel_ready_future(channel)
        until = time.monotonic() + timeout_s
        while time.monotonic() < until and not self._closed.is_set():
            with suppress(grpc.FutureTimeoutError):
                ready.result(connections.POLL_INTERVAL_S)
                return True
        ready.cancel()
        return False
