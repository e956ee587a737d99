"""Channels whose certificate files may change: new calls take a new channel, those under way end on theirs.

One implementation serves blocking and asyncio channels: a call is whatever the channel makes of it.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Generic, TypeVar

import grpc
import grpc.aio

C = TypeVar("C", grpc.Channel, grpc.aio.Channel)

_POLL_INTERVAL_S = 0.5
"""Files are looked at no more often than this, when calls are made."""
_RETRY_DELAY_S, _TIMES = 0.05, 10
"""How long the first channel waits for files that do not belong together: two cannot be replaced at once."""


class _Line(Generic[C]):
    """One channel and the number of calls on it."""

    def __init__(self, channel: C) -> None:
        self.channel = channel
        self.calls = 0


class Lines(Generic[C]):
    """The channel that new calls take, and older ones until their calls have ended.

    Args:
        connect: Makes a channel of what the files hold now.
        files: The files.
        close: Closes a channel.
    """

    def __init__(self, connect: Callable[[], C], files: Iterable[Path], close: Callable[[C], object]) -> None:
        self._connect = connect
        self._files = tuple(files)
        self._close = close
        self._lock = threading.Lock()
        self._stamp = self._stat()
        self._looked_at = time.monotonic()
        self._line = _Line(_patiently(connect))
        self._old: list[_Line[C]] = []

    @property
    def present(self) -> C:
        """The channel that new calls take."""
        return self._line.channel

    def everything(self) -> list[C]:
        """All channels that are open."""
        with self._lock:
            return [line.channel for line in (self._line, *self._old)]

    def take(self) -> _Line[C]:
        """Begin a call: count it on the channel that it takes."""
        with self._lock:
            now = time.monotonic()
            if now - self._looked_at >= _POLL_INTERVAL_S:
                self._looked_at = now
                self._look()
            self._line.calls += 1
            return self._line

    def give_back(self, line: _Line[C]) -> None:
        """End a call."""
        with self._lock:
            line.calls -= 1

    def _look(self) -> None:
        # Not as soon as the last call ends: its answer may not have been read yet.
        for line in [each for each in self._old if not each.calls]:
            self._old.remove(line)
            self._close(line.channel)
        stamp = self._stat()
        if stamp == self._stamp:
            return
        try:
            fresh = self._connect()
        except (OSError, ValueError):
            # Half of a rotation, most likely: the files change once more, and are looked at again.
            return
        self._stamp = stamp
        self._old.append(self._line)
        self._line = _Line(fresh)

    def _stat(self) -> object:
        found = []
        for path in self._files:
            try:
                status = os.stat(path)
            except OSError:
                found.append(None)
            else:
                found.append((status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size))
        return found


class ReloadingChannel(grpc.Channel):
    """A blocking channel whose certificates may change; see `Lines`."""

    def __init__(self, connect: Callable[[], grpc.Channel], files: Iterable[Path]) -> None:
        self._lines = Lines(connect, files, lambda channel: channel.close())

    def unary_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """As `grpc.Channel`."""
        return _Method(self._lines, "unary_unary", method, *args, **kwargs)

    def unary_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """As `grpc.Channel`."""
        return _Method(self._lines, "unary_stream", method, *args, **kwargs)

    def stream_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """As `grpc.Channel`."""
        return _Method(self._lines, "stream_unary", method, *args, **kwargs)

    def stream_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """As `grpc.Channel`."""
        return _Method(self._lines, "stream_stream", method, *args, **kwargs)

    def subscribe(self, callback: Callable[[grpc.ChannelConnectivity], None], try_to_connect: bool = False) -> None:
        """As `grpc.Channel`, of the channel that new calls take."""
        self._lines.present.subscribe(callback, try_to_connect)

    def unsubscribe(self, callback: Callable[[grpc.ChannelConnectivity], None]) -> None:
        """As `grpc.Channel`."""
        for channel in self._lines.everything():
            channel.unsubscribe(callback)

    def close(self) -> None:
        """Close the channel; calls under way end."""
        for channel in self._lines.everything():
            channel.close()

    def __enter__(self) -> ReloadingChannel:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class ReloadingAioChannel(grpc.aio.Channel):
    """An asyncio channel whose certificates may change; see `Lines`."""

    def __init__(self, connect: Callable[[], grpc.aio.Channel], files: Iterable[Path]) -> None:
        self._closing: set[asyncio.Task[None]] = set()
        self._lines = Lines(connect, files, self._close_soon)

    def unary_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """As `grpc.aio.Channel`."""
        return _Method(self._lines, "unary_unary", method, *args, **kwargs)

    def unary_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """As `grpc.aio.Channel`."""
        return _Method(self._lines, "unary_stream", method, *args, **kwargs)

    def stream_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """As `grpc.aio.Channel`."""
        return _Method(self._lines, "stream_unary", method, *args, **kwargs)

    def stream_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """As `grpc.aio.Channel`."""
        return _Method(self._lines, "stream_stream", method, *args, **kwargs)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """As `grpc.aio.Channel`, of the channel that new calls take."""
        return self._lines.present.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """As `grpc.aio.Channel`, of the channel that new calls take."""
        await self._lines.present.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """As `grpc.aio.Channel`, of the channel that new calls take."""
        await self._lines.present.channel_ready()

    async def close(self, grace: float | None = None) -> None:
        """As `grpc.aio.Channel`."""
        await asyncio.gather(*self._closing, *(channel.close(grace) for channel in self._lines.everything()))

    async def __aenter__(self) -> ReloadingAioChannel:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    def _close_soon(self, channel: grpc.aio.Channel) -> None:
        task = asyncio.get_running_loop().create_task(channel.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)


def _patiently(connect: Callable[[], C]) -> C:
    for _ in range(_TIMES):
        with suppress(ValueError):
            return connect()
        time.sleep(_RETRY_DELAY_S)
    return connect()


class _Method:
    """A method of whichever channel takes calls now."""

    def __init__(self, lines: Lines[Any], kind: str, *args: Any, **kwargs: Any) -> None:
        self._lines = lines
        self._kind = kind
        self._args = args
        self._kwargs = kwargs
        self._made: tuple[_Line[Any], Any] | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._begin(lambda method: method(*args, **kwargs))

    def with_call(self, *args: Any, **kwargs: Any) -> Any:
        """As grpc's blocking calls that are answered once."""
        return self._begin(lambda method: method.with_call(*args, **kwargs))

    def future(self, *args: Any, **kwargs: Any) -> Any:
        """As grpc's blocking calls that are answered once."""
        return self._begin(lambda method: method.future(*args, **kwargs))

    def _begin(self, begin: Callable[[Any], Any]) -> Any:
        line = self._lines.take()
        ends_later = False
        try:
            answer = begin(self._method(line))
            if isinstance(answer, grpc.Future | grpc.aio.Call):
                ends_later = True
                answer.add_done_callback(lambda _: self._lines.give_back(line))
            return answer
        finally:
            # A blocking call that is answered once has ended when it returns.
            if not ends_later:
                self._lines.give_back(line)

    def _method(self, line: _Line[Any]) -> Any:
        made = self._made
        if made is None or made[0] is not line:
            made = self._made = (line, getattr(line.channel, self._kind)(*self._args, **self._kwargs))
        return made[1]


def check_files(root: Path | None, cert: Path | None, key: Path | None) -> None:
    """Make sure that files are what they should be: gRPC would say nothing, and never connect.

    Raises:
        OSError: A file cannot be read.
        ValueError: One is no PEM, or certificate and private key do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for path in (root, cert, key):
        if path is not None:
            path.open("rb").close()  # ssl does not say which file is missing
    try:
        if root is not None:
            context.load_verify_locations(root)
    except ssl.SSLError as error:
        raise ValueError(f"{root} holds no PEM certificates ({error.reason})") from error
    try:
        if cert is not None:
            # The password: otherwise OpenSSL asks for it on the terminal.
            context.load_cert_chain(cert, key, password=lambda: "")
    except ssl.SSLError as error:
        raise ValueError(f"{cert} and {key} are no PEM certificate and its private key ({error.reason})") from error
