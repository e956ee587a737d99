"""The process of a replica: takes what the host asks over one socket, until the host has gone."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import socket
import sys
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

from swath.serve import multiplex, published
from swath.serve.context import ReplicaContext, set_replica_context
from swath.serve.handle import set_caller
from swath.serve.replica import logs
from swath.serve.replica.calls import Calls
from swath.serve.replica.definition import Definition, describe, load, load_config
from swath.serve.replica.messages import Messages
from swath.serve.replica.outcome import said
from swath.serve.replica.outside import Outside
from swath.serve.replica.servable import Servable
from swath.serve.replica.threads import Threads
from swath.serve.transport.call import Call
from swath.serve.transport.channel import Channel

_LOG = logging.getLogger("swath.serve")


def main(sock: socket.socket) -> None:
    """Be a replica until the host has gone or says so. Never returns: threads of users may still run."""
    status = 1
    try:
        asyncio.run(ReplicaProcess().run(sock))
        status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        logs.end()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


class ReplicaProcess:
    """What the host asks of a replica: to load code, to make the object, and then its calls.

    Each operation is a call of its own, ended by (whether it went well, text, traceback, more).
    """

    def __init__(self) -> None:
        self._threads = Threads()
        self._servable: Servable | None = None
        self._calls: Calls | None = None
        self._settings: dict[str, Any] = {}
        self._operations: dict[str, Callable[[Call], Awaitable[Any]]] = {
            "load": self._load,
            "describe": self._describe,
            "construct": self._construct,
            "reconfigure": self._reconfigure,
            "check": self._check,
            "stop": self._stop,
        }
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, sock: socket.socket) -> None:
        """Take calls until the host has gone."""
        self._gone = asyncio.Event()
        channel = await Channel.connect(sock, self._called, lambda event: None, self._gone.set)
        set_caller(Outside(lambda: channel))
        multiplex.tell(lambda models: channel.tell(("models", models)))
        await self._gone.wait()

    def _called(self, call: Call) -> None:
        operation = self._operations.get(call.about[0])
        if operation is None:
            assert self._calls is not None
            self._calls.start(call)
            return
        task = asyncio.get_running_loop().create_task(self._operate(call, operation))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _operate(self, call: Call, operation: Callable[[Call], Awaitable[Any]]) -> None:
        try:
            more = await operation(call)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # exiting in a constructor is a failure like others
            _LOG.error("%s failed: %s", call.about[0], type(error).__name__, exc_info=error)
            call.finish_with((False, said(error), "".join(traceback.format_exception(error)), None))
        else:
            call.finish_with((True, "", "", more))

    async def _describe(self, call: Call) -> Any:
        _, definition, path = call.about
        _search(path)
        return describe(Definition(*definition))

    async def _load(self, call: Call) -> Any:
        """Import or unpickle the code. What it is called with is kept for the constructor."""
        _, definition, settings = call.about
        self._settings = settings
        os.environ.update(settings["environment"])
        published.told.update(settings["suite"])
        _search(settings["path"])
        logs.start(settings)
        self._messages = Messages(settings["servicer_functions"])
        self._servable = Servable(load(Definition(*definition)), self._threads)
        return self._servable.model_limit

    async def _construct(self, call: Call) -> Any:
        assert self._servable is not None
        settings = self._settings
        _, tag, rank, world_size = call.about
        logs.named(tag)
        set_replica_context(
            ReplicaContext(
                settings["application"], settings["deployment"], tag, self._servable.object, rank, world_size
            )
        )
        self._calls = Calls(self._servable, self._messages, self._threads, settings["send_tracebacks"])
        await self._servable.construct()
        if call.payload:
            await self._servable.reconfigure(load_config(call.payload))
        return None

    async def _reconfigure(self, call: Call) -> None:
        assert self._servable is not None
        await self._servable.reconfigure(load_config(call.payload))

    async def _check(self, call: Call) -> Any:
        assert self._servable is not None
        await self._servable.check()
        return self._threads.abandoned, _memory()

    async def _stop(self, call: Call) -> None:
        """Call the object's `__del__`; the host closes the socket then, which ends the process."""
        if self._servable is not None:
            await self._servable.finalize()


def _search(path: list[str]) -> None:
    for folder in reversed(path):
        if folder not in sys.path:
            sys.path.insert(0, folder)


def _memory() -> int:
    """Return the bytes of this process that are in memory."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except OSError:  # not Linux: the most that it ever had
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
