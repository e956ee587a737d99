"""Replicas on this machine, forked from a process per environment that has imported what they need."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from swath.serve.exceptions import DeploymentUnavailableError
from swath.serve.launch.port import NEWS, Environment
from swath.serve.transport.call import Call
from swath.serve.transport.channel import Channel


class LocalProcess:
    """A replica's process, forked on this machine."""

    def __init__(self, sock: socket.socket, pid: int) -> None:
        self.socket = sock
        self.pid = pid
        self._end: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def channel(
        self, on_call: Callable[[Call], None], on_event: Callable[[Any], None], on_lost: Callable[[], None]
    ) -> Channel:
        """Return what frames go over."""
        return await Channel.connect(self.socket, on_call, on_event, on_lost)

    def close(self) -> None:
        """Close the socket where there was no channel."""
        self.socket.close()

    async def ended(self) -> str:
        """Wait for its end; return how it ended, in words."""
        return await asyncio.shield(self._end)

    def kill(self) -> None:
        """End it, whatever it does."""
        if not self._end.done():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def end(self, words: str) -> None:
        """Take note of its end."""
        if not self._end.done():
            self._end.set_result(words)


class _Template:
    """A process that replicas are forked from, as the host sees it."""

    def __init__(self, environment: Environment, variables: Mapping[str, str]) -> None:
        self._loop = asyncio.get_running_loop()
        self._control, theirs = socket.socketpair()
        settings = json.dumps({"path": environment.path, "preload": environment.preload})
        self._process = subprocess.Popen(
            [sys.executable, "-m", "swath.serve.launch.template", str(theirs.fileno()), settings],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            env={"OMP_NUM_THREADS": "1", **variables, **dict(environment.variables)},
            start_new_session=True,
        )
        theirs.close()
        self._control.setblocking(False)
        self._asked: deque[tuple[asyncio.Future[LocalProcess], socket.socket]] = deque()
        self._running: dict[int, LocalProcess] = {}
        self._data = b""
        self.dead = False
        self._loop.add_reader(self._control, self._news)

    async def fork(self) -> LocalProcess:
        """Have a replica forked.

        Raises:
            DeploymentUnavailableError: This process has died.
        """
        ours, theirs = socket.socketpair()
        future: asyncio.Future[LocalProcess] = self._loop.create_future()
        self._asked.append((future, ours))
        try:
            socket.send_fds(self._control, [b"F"], [theirs.fileno()])
        except OSError:
            self._died()
        finally:
            theirs.close()
        return await future

    def _news(self) -> None:
        try:
            data = self._control.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._died()
            return
        self._data += data
        while len(self._data) >= NEWS.size:
            pid, status = NEWS.unpack_from(self._data)
            self._data = self._data[NEWS.size :]
            if status == -1:
                future, ours = self._asked.popleft()
                process = self._running[pid] = LocalProcess(ours, pid)
                if future.cancelled():
                    process.kill()
                    ours.close()
                else:
                    future.set_result(process)
            elif pid in self._running:
                self._running.pop(pid).end(words(status))

    def _died(self) -> None:
        if self.dead:
            return
        self.dead = True
        self._loop.remove_reader(self._control)
        self._control.close()
        for future, ours in self._asked:
            ours.close()
            if not future.done():
                future.set_exception(
                    DeploymentUnavailableError(
                        "the process that replicas are forked from has died; it is started again"
                    )
                )
        for process in self._running.values():
            process.end("ended with the process that it was forked from")
        self._running.clear()

    def close(self) -> None:
        """End it, and with it all that it has forked."""
        self._died()
        self._process.kill()
        self._process.wait()


class LocalLauncher:
    """Forks replicas on this machine.

    Args:
        variables: Environment variables that replicas find; those of this process if None.
    """

    def __init__(self, variables: Mapping[str, str] | None = None) -> None:
        self._variables = os.environ if variables is None else variables
        self._templates: dict[Environment, _Template] = {}

    async def start(self, environment: Environment) -> LocalProcess:
        """Fork a replica.

        Raises:
            DeploymentUnavailableError: The process that it would be forked from has died; the next try starts it again.
        """
        return await self._template(environment).fork()

    def forget(self, used: set[Environment]) -> None:
        """End the processes that no replica will be forked from again."""
        for environment in [each for each in self._templates if each not in used]:
            self._templates.pop(environment).close()

    def _template(self, environment: Environment) -> _Template:
        found = self._templates.get(environment)
        if found is None or found.dead:
            if found is not None:
                found.close()
            found = self._templates[environment] = _Template(environment, self._variables)
        return found

    async def close(self) -> None:
        """End all processes."""
        self.forget(set())


def words(status: int) -> str:
    """Return how a process ended by its wait status."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        name = signal.Signals(number).name if number in set(signal.Signals) else str(number)
        why = ": killed, perhaps for want of memory" if number == signal.SIGKILL else ""
        return f"ended by {name}{why}"
    return f"exited with status {os.WEXITSTATUS(status)}"
