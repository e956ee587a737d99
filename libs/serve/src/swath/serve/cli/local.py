"""Applications that one process hosts: their config is checked, deployed, watched for changes, and stopped."""

from __future__ import annotations

import asyncio
import dataclasses
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

from swath.errors import SwathError
from swath.serve.cli.targets import Given, code_of
from swath.serve.controller.controller import Controller
from swath.serve.controller.specs import ApplicationSpec
from swath.serve.exchange import ApplicationStatus
from swath.serve.front import Front, Service, serve
from swath.serve.launch.local import LocalLauncher
from swath.serve.schema import CodeInvalid, Found, probe, spec
from swath.serve.schema.reading import refusal

_GRACE_S = 20.0
_VERSION = "SWATH_APP_VERSION"
"""Variable of replicas that changes with their code: processes that have imported older code are not forked again."""


@dataclasses.dataclass(frozen=True)
class Checked:
    """A config that can be deployed.

    Attributes:
        specs: Its applications.
        services: Their gRPC services.
        folders: Where their code is.
    """

    specs: tuple[ApplicationSpec, ...]
    services: tuple[Service, ...]
    folders: tuple[Path, ...]


async def check(given: Given, version: str = "") -> Checked:
    """Check a config with the code that it names; nothing of that is imported into this process.

    Args:
        given: The config.
        version: Of the code: another one makes new replicas.

    Raises:
        ConfigInvalid: Something does not resolve, or does not fit. The message says all of it.
    """
    config = given.read.config
    functions = config.grpc_options.grpc_servicer_functions
    folders = {each.name: code_of(each, given, functions) for each in config.applications}

    async def one(application: Any) -> Found | CodeInvalid:
        try:
            return await probe(application, functions, folders=folders[application.name])
        except CodeInvalid as error:
            return error

    answers = await asyncio.gather(*map(one, config.applications))
    failed = [said for index, each in enumerate(answers) if isinstance(each, CodeInvalid) for said in each.below(index)]
    if failed:
        # What is wrong with all of them is said once.
        raise refusal(given.read.places, list(dict.fromkeys(failed)))
    services = {service.name: service for each in answers if isinstance(each, Found) for service in each.services}
    specs = []
    for application in config.applications:
        made = spec(
            application,
            servicer_functions=functions,
            folders=folders[application.name],
            code_version=version,
        )
        if version:
            made = dataclasses.replace(made, variables={**made.variables, _VERSION: version})
        specs.append(made)
    used = dict.fromkeys(folder for each in folders.values() for folder in each)
    return Checked(tuple(specs), tuple(services.values()), tuple(used))


class Running:
    """Applications of a config in this process: `start`, `deploy` again and again, `stop`.

    Args:
        given: The config.

    Attributes:
        controller: Of the applications.
        changed: Is set when the state of an application may have changed; another one takes its place then.
    """

    def __init__(self, given: Given) -> None:
        self._options = given.read.config.grpc_options
        self.controller = Controller(
            LocalLauncher(), self._options.grpc_servicer_functions, self._options.send_tracebacks
        )
        self.changed = asyncio.Event()
        self.controller.watch(self._wake)
        self._front: Front | None = None

    @property
    def address(self) -> str:
        """Where applications answer."""
        return "" if self._front is None else str(self._front.address)

    async def start(self, checked: Checked) -> None:
        """Listen, and begin to deploy.

        Raises:
            Unavailable: The address is taken, or not to be had.
            InvalidInput: TLS files cannot be used.
        """
        self._front = await serve(self.controller, self._options, checked.services)
        self.controller.apply(checked.specs)

    def deploy(self, checked: Checked) -> None:
        """Begin to deploy these applications in place of the others."""
        assert self._front is not None
        self._front.publish(checked.services)
        self.controller.apply(checked.specs)

    async def states(self, names: Sequence[str]) -> AsyncIterator[list[tuple[str, str, str]]]:
        """Iterate over names, states and words of applications, until none of them is about to come up."""
        while True:
            changed = self.changed
            told = self.controller.status().applications
            found = [(name, told[name]) for name in names if name in told]
            yield [(name, str(each.status), each.message) for name, each in found]
            coming = any(
                self.controller.coming_up(name) or each.status is ApplicationStatus.DEPLOYING for name, each in found
            )
            if not coming:
                return
            await changed.wait()

    async def stop(self) -> None:
        """End: calls that run are answered, within their time."""
        self.controller.drain()
        if self._front is not None:
            await self._front.stop(_GRACE_S)
        await self.controller.stop()

    def _wake(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()


def until_told() -> asyncio.Event:
    """Return an event that is set when the process is asked to end: Ctrl-C, SIGTERM, a closed terminal."""
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    return told


async def follow(
    running: Running,
    read: Callable[[], Given],
    folders: Sequence[Path],
    said: Callable[[str], None],
    stop: asyncio.Event,
) -> None:
    """Deploy anew with each change of a file, until it is told to stop. What is wrong is said, and what serves goes on.

    Args:
        running: What runs.
        read: Reads the config again.
        folders: To watch.
        said: Is given what there is to say.
        stop: Ends it.
    """
    from watchfiles import awatch

    number = 0
    async for changes in awatch(*folders, stop_event=stop, recursive=True):
        names = sorted({Path(path).name for _, path in changes})
        number += 1
        said(f"{', '.join(names[:3])}{' and others' if len(names) > 3 else ''} changed: deploying anew")
        try:
            running.deploy(await check(read(), str(number)))
        except SwathError as error:
            said(f"error: {error.message}")
