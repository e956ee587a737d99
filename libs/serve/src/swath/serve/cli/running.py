"""``swath app run`` and ``start``: applications in one process, and a server for them in the background."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swath.serve.cli import options
from swath.serve.cli.targets import Given, given

if TYPE_CHECKING:
    from rich.console import Console

_RUNNING = "RUNNING"
_READY_S = 120.0


@options.clear_errors
def run(
    what: options.Target,
    arguments: options.Arguments = None,
    name: options.Name = "",
    route_prefix: options.RoutePrefix = None,
    app_dir: options.AppDir = Path(),
    working_dir: options.WorkingDir = None,
    runtime_env: options.RuntimeEnv = None,
    runtime_env_json: options.RuntimeEnvJson = None,
    grpc_port: Annotated[
        int | None, typer.Option(help="Port of an import path's application; 0 takes a free one. [9000]")
    ] = None,
    grpc_servicer_functions: options.Functions = None,
    blocking: Annotated[
        bool, typer.Option("--blocking/--non-blocking", help="Whether to stay until Ctrl-C, or go to the background.")
    ] = True,
    reload: Annotated[bool, typer.Option("--reload", help="Deploy anew when a file changes.")] = False,
    address: options.Address = None,
    ready_fd: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Run the applications of a config file, or one in code, in this process until Ctrl-C.

    Exits with 1 if one does not come up; with --reload it waits for a better one.
    """
    options.say_unused(address=address)

    def read() -> Given:
        return given(
            what,
            arguments,
            name=name,
            route_prefix=route_prefix,
            app_dir=app_dir,
            working_dir=working_dir,
            runtime_env=runtime_env,
            runtime_env_json=runtime_env_json,
            functions=grpc_servicer_functions,
            port=grpc_port,
        )

    if reload and find_spec("watchfiles") is None:
        from swath.client.errors import MissingPackageError

        raise MissingPackageError("--reload needs the package watchfiles: pip install 'swath-serve[cli]'")
    found = read()
    if not blocking:
        _in_background()
        return
    options.notes(found.read.notes)
    if not found.read.config.grpc_options.grpc_servicer_functions:
        options.note("no servicer function is given: no service of yours is served over gRPC")
    # Imported with gRPC's core, which `swath --help` has no use for.
    from swath.rpc.line_writer import unblocked
    from swath.rpc.server.reactor import run as run_server

    with unblocked():
        code = run_server(_run(found, read, reload=reload, ready_fd=ready_fd))
    if code:
        raise typer.Exit(code)


def start(
    grpc_port: Annotated[int, typer.Option(help="Port to listen on.")] = 50051,
    state: Annotated[
        Path | None, typer.Option(help="Folder for what must outlive it. [user data folder]", show_default=False)
    ] = None,
    grpc_servicer_functions: options.Functions = None,
    reflection: Annotated[
        bool, typer.Option("--grpc-enable-reflection/--grpc-disable-reflection", help="Accepted: it is always on.")
    ] = True,
    http_host: options.HttpHost = None,
    http_port: options.HttpPort = None,
    proxy_location: options.ProxyLocation = None,
    address: options.Address = None,
) -> None:
    """Start a server in the background that applications are deployed on; one that runs already stays as it is."""
    from swath.client import Client, ClientConfig
    from swath.client.errors import ClientError, MissingPackageError

    options.say_unused(http_host=http_host, http_port=http_port, proxy_location=proxy_location, address=address)
    if grpc_servicer_functions:
        options.note("--grpc-servicer-functions is unused: they come with each config file")
    if not reflection:
        options.note("--grpc-disable-reflection is unused: the server tells of its services")
    target = f"127.0.0.1:{grpc_port}"
    with Client(ClientConfig(target=target)) as client:
        try:
            client.ready(_READY_S, 0.5)
        except ClientError:
            pass
        else:
            typer.echo(f"a server runs at {target} already; nothing has changed")
            return
        command = [sys.executable, "-m", "swath_standalone", "--port", str(grpc_port)]
        if state is not None:
            command += ["--state", str(state)]
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
        )
        while True:
            try:
                client.ready(_READY_S, 1.0)
                break
            except ClientError:
                if process.poll() is None:
                    continue
            assert process.stderr is not None
            words = process.stderr.read().decode(errors="replace").strip().splitlines()[-1:]
            if words and "swath_standalone" in words[0]:
                raise MissingPackageError("a server needs the package swath-standalone: pip install swath-standalone")
            raise MissingPackageError(f"the server did not start: {words[0] if words else process.returncode}")
    typer.echo(f"a server runs at {target}, process {process.pid}; deploy with: swath app deploy -t {target} CONFIG")


async def _run(found: Given, read: Callable[[], Given], *, reload: bool, ready_fd: int | None) -> int:
    from swath.client.cli.output import console as make_console
    from swath.serve.cli.local import Running, check, follow, until_told
    from swath.serve.cli.states import local_rows, print_changes, table

    console = make_console()
    told = until_told()
    checked = await check(found)
    running = Running(found)
    names = [each.name for each in checked.specs]
    states: dict[str, str] = {}
    try:
        await running.start(checked)
        console.print(f"listening on {running.address}", highlight=False)
        # From now on no change is missed.
        watching = [
            asyncio.create_task(follow(running, read, checked.folders, partial(console.print, highlight=False), told))
            for _ in range(reload)
        ]
        coming = asyncio.create_task(_come_up(console, running, names, states))
        stopping = asyncio.create_task(told.wait())
        await asyncio.wait([coming, stopping], return_when=asyncio.FIRST_COMPLETED)
        if not coming.done():
            coming.cancel()
            return 0
        if not reload and any(state != _RUNNING for state in states.values()):
            console.print(table(local_rows(running.controller.status())))
            return 1
        _say_ready(ready_fd)
        console.print("press Ctrl-C to stop", style="dim", highlight=False)
        telling = asyncio.create_task(_tell(console, running, states, print_changes))
        await asyncio.wait([stopping, *watching], return_when=asyncio.FIRST_COMPLETED)
        telling.cancel()
        for each in watching:
            await each
        return 0
    finally:
        await running.stop()


async def _come_up(console: Console, running: Any, names: list[str], states: dict[str, str]) -> None:
    from swath.serve.cli.states import print_changes

    async for now in running.states(names):
        states.update(print_changes(console, states, now))


async def _tell(console: Console, running: Any, states: dict[str, str], show: Callable[..., dict[str, str]]) -> None:
    """Print each change of a state, for as long as it is not cancelled."""
    while True:
        changed = running.changed
        told = running.controller.status().applications
        states.update(show(console, states, [(name, str(each.status), each.message) for name, each in told.items()]))
        await changed.wait()


def _in_background() -> None:
    """Run the same command in a process of its own, and return when its applications run."""
    ready, theirs = os.pipe()
    command = [each for each in sys.argv[1:] if each != "--non-blocking"]
    process = subprocess.Popen(
        [sys.executable, sys.argv[0], *command, "--ready-fd", str(theirs)],
        pass_fds=[theirs],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.close(theirs)
    with open(ready, "rb") as told:
        if told.read(1):
            typer.echo(f"runs in the background, process {process.pid}; end it with: kill {process.pid}")
            return
    raise typer.Exit(process.wait() or 1)


def _say_ready(descriptor: int | None) -> None:
    if descriptor is not None:
        os.write(descriptor, b"1")
        os.close(descriptor)
