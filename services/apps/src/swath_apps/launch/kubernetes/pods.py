"""A pod that runs users' code, as the host sees it: what the API server says of it, and the connection to it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any

from swath.rpc.tls import TlsSettings
from swath.runtime.kubernetes import containers, trouble
from swath.serve.launch.port import Environment
from swath.serve.transport.call import Call
from swath.serve.transport.channel import Channel
from swath.serve.transport.secure import dial
from swath_apps.launch.kubernetes.manifest import CONTAINER
from swath_apps.launch.settings import Document

_AGAIN_S = 0.25
_WORDS_S = 1.0
_STUCK = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "CreateContainerConfigError", "CrashLoopBackOff")


class Pod:
    """A pod. It is also the launcher of its replica: to start that is to connect.

    Args:
        name: Its name.
        token: What its replica expects of a host.
        port: Where that listens.
        tls: Files of this process.

    Attributes:
        address: Its IP address, empty before it has one.
        going: Whether it is about to go.
        said: What keeps it from running, in words.
        stuck_since: When it was first seen in a state that does not mend itself, on the monotonic clock.
        ended: How its container ended last, in words.
    """

    def __init__(self, name: str, token: str, port: int, tls: TlsSettings) -> None:
        self.name = name
        self.address = ""
        self.going = False
        self.said = ""
        self.stuck_since: float | None = None
        self.ended = ""
        self.connected = False
        self._token = token
        self._port = port
        self._tls = tls

    def seen(self, pod: Document, gone: bool) -> None:
        """Take what the API server says of it."""
        status = pod.get("status") or {}
        self.going = gone or "deletionTimestamp" in pod["metadata"] or status.get("phase") in ("Failed", "Succeeded")
        self.address = status.get("podIP") or ""
        self.said = trouble(pod, "the replica")
        for container in containers(status):
            for state in (container.get("state"), container.get("lastState")):
                ended = (state or {}).get("terminated")
                if ended and (container["name"] == CONTAINER or ended.get("exitCode")):
                    self.ended = _words(container["name"], ended)
                    break
        if any(each in self.said for each in _STUCK):
            self.stuck_since = self.stuck_since or time.monotonic()
            if "CrashLoopBackOff" in self.said and self.ended:
                self.said = f"{self.said}; its container {self.ended}"
        else:
            self.stuck_since = None

    async def start(self, environment: Environment) -> PodProcess:
        """Connect to its replica, however long that takes to listen; whoever waits may be cancelled."""
        while True:
            if self.address:
                process = PodProcess(self)
                with contextlib.suppress(OSError):
                    await process.open(self._token, self._port, self._tls)
                    return process
            await asyncio.sleep(_AGAIN_S)

    def forget(self, used: set[Environment]) -> None:
        """Nothing is kept."""

    async def close(self) -> None:
        """Nothing is kept."""


class PodProcess:
    """The process in a pod, connected.

    Args:
        pod: The pod.
    """

    pid = 0

    def __init__(self, pod: Pod) -> None:
        self._pod = pod
        self._loop = asyncio.get_running_loop()
        self._end: asyncio.Future[str] = self._loop.create_future()
        self._channel: Channel | None = None
        self._on_call: Callable[[Call], None] = lambda call: None
        self._on_event: Callable[[Any], None] = lambda event: None
        self._on_lost: Callable[[], None] = lambda: None

    async def open(self, token: str, port: int, tls: TlsSettings) -> None:
        """Connect.

        Raises:
            OSError: Nobody listens, or it is no replica.
        """
        self._channel = await dial(
            (self._pod.address, port), token, tls, self._called, lambda event: self._on_event(event), self._was_lost
        )

    async def channel(
        self, on_call: Callable[[Call], None], on_event: Callable[[Any], None], on_lost: Callable[[], None]
    ) -> Channel:
        """Return what frames go over."""
        assert self._channel is not None
        self._on_call, self._on_event, self._on_lost = on_call, on_event, on_lost
        if self._end.done():
            on_lost()
        return self._channel

    async def ended(self) -> str:
        """Wait until there is no connection any more; return why, in words."""
        return await asyncio.shield(self._end)

    def kill(self) -> None:
        """Let go of it: whether the pod goes, its Kubernetes Deployment says."""
        if not self._end.done():
            self._end.set_result("was let go")

    def close(self) -> None:
        """Close the connection."""
        if self._channel is not None:
            self._channel.close()

    def _called(self, call: Call) -> None:
        self._on_call(call)

    def _was_lost(self) -> None:
        self._on_lost()
        # The API server says a little later how a container ended.
        self._loop.call_later(0 if self._pod.going else _WORDS_S, self._tell)

    def _tell(self) -> None:
        if not self._end.done():
            self._end.set_result(self._pod.ended or "has closed the connection")


def _words(name: str, ended: Document) -> str:
    reason = ended.get("reason") or ""
    why = f" ({reason})" if reason not in ("", "Error", "Completed") else ""
    message = f": {ended['message']}" if ended.get("message") else ""
    part = "" if name == CONTAINER else f", container {name!r},"
    return f"{part.lstrip()} exited with status {ended.get('exitCode')}{why}{message}".strip()
