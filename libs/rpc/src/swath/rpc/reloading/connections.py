"""The core of a channel whose TLS files may change: which connection takes a call, and which ones are still in use."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import grpc
import grpc.aio

from swath.rpc.tls import Material
from swath.rpc.watched_files import Watched

C = TypeVar("C", grpc.Channel, grpc.aio.Channel)

POLL_INTERVAL_S = 0.25
READY_TIMEOUT_S = 10.0
"""A new connection that is not ready by then is given up, unless the old one is not ready either."""

log = logging.getLogger("swath.channels")


class Connection(Generic[C]):
    """One channel, the TLS material that it was made with, and how many calls are on it."""

    def __init__(self, channel: C, material: Material) -> None:
        self.channel = channel
        self.material = material
        self.calls = 0


class Connections(Generic[C]):
    """The connection that new calls take, and older ones until their calls have ended. For any thread.

    Args:
        files: The TLS files.
        connect: Makes a channel.

    Attributes:
        current: What new calls take.
        old: What calls in flight began on.
    """

    def __init__(self, files: Watched[Material], connect: Callable[[Material], C]) -> None:
        self._files = files
        self._connect = connect
        self._lock = threading.Lock()
        self.current = self.open(files.get())
        self.old: list[Connection[C]] = []

    def open(self, material: Material) -> Connection[C]:
        """Open a connection that takes no calls yet."""
        return Connection(self._connect(material), material)

    def changed(self) -> Material | None:
        """Return what the files hold, where that is not what the current connection was made with."""
        material = self._files.get()
        return None if material == self.current.material else material

    def replace(self, new: Connection[C]) -> None:
        """Have new calls take another connection."""
        with self._lock:
            self.old.append(self.current)
            self.current = new

    def begin(self) -> Connection[C]:
        """Begin a call: count it on the connection that it takes."""
        with self._lock:
            self.current.calls += 1
            return self.current

    def end(self, connection: Connection[C]) -> None:
        """End a call."""
        with self._lock:
            connection.calls -= 1

    def take_idle(self) -> list[C]:
        """Return the channels of old connections without calls, to be closed by the caller; they are forgotten here."""
        with self._lock:
            idle = [each for each in self.old if not each.calls]
            self.old = [each for each in self.old if each.calls]
        return [each.channel for each in idle]

    def channels(self) -> list[C]:
        """Return all channels that are open, the current one first."""
        with self._lock:
            return [each.channel for each in (self.current, *self.old)]


class Method:
    """A method of whichever connection takes calls now."""

    def __init__(
        self, connections: Connections[Any], look: Callable[[], None], kind: str, *args: Any, **kwargs: Any
    ) -> None:
        self._connections = connections
        self._look = look
        self._kind = kind
        self._args = args
        self._kwargs = kwargs
        self._made: tuple[Connection[Any], Any] | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._begin(lambda method: method(*args, **kwargs))

    def with_call(self, *args: Any, **kwargs: Any) -> Any:
        """As blocking methods of gRPC whose answer is one message."""
        return self._begin(lambda method: method.with_call(*args, **kwargs))

    def future(self, *args: Any, **kwargs: Any) -> Any:
        """As blocking methods of gRPC whose answer is one message."""
        return self._begin(lambda method: method.future(*args, **kwargs))

    def _begin(self, begin: Callable[[Any], Any]) -> Any:
        self._look()
        connection = self._connections.begin()
        ends_later = False
        try:
            answer = begin(self._method(connection))
            if isinstance(answer, grpc.Future | grpc.aio.Call):
                ends_later = True
                answer.add_done_callback(lambda _: self._connections.end(connection))
            return answer
        finally:
            # A blocking call whose answer is one message has ended when it returns.
            if not ends_later:
                self._connections.end(connection)

    def _method(self, connection: Connection[Any]) -> Any:
        made = self._made
        if made is None or made[0] is not connection:
            made = self._made = (connection, getattr(connection.channel, self._kind)(*self._args, **self._kwargs))
        return made[1]


def may_replace(old_ready: bool) -> bool:
    """Whether a new connection that is not ready is to take calls: only where the old one is not ready either.

    Then the server is away, and the new files are more likely to be right when it is back.
    """
    if old_ready:
        log.warning("no connection is ready with the changed TLS files; the old one goes on for now")
    return not old_ready
