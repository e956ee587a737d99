"""``swath app deploy``, ``config``, ``delete`` and ``shutdown``: applications on a server."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from swath.client.cli.connection import connects
from swath.client.cli.output import AsJson, message_json, print_json
from swath.client.cli.output import console as make_console
from swath.serve.cli import options
from swath.serve.cli.states import RUNNING, print_changes, rows_of, table
from swath.serve.cli.targets import code_of, given

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
_WORKING = ("NOT_STARTED", "DEPLOYING", RUNNING)


@connects
@options.clear_errors
def deploy(
    client: Any,
    what: options.Target,
    arguments: options.Arguments = None,
    name: options.Name = "",
    route_prefix: options.RoutePrefix = None,
    app_dir: options.AppDir = Path(),
    working_dir: options.WorkingDir = None,
    runtime_env: options.RuntimeEnv = None,
    runtime_env_json: options.RuntimeEnvJson = None,
    grpc_servicer_functions: options.Functions = None,
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Whether to wait until all of it runs.")] = True,
    address: options.Address = None,
    as_json: AsJson = False,
) -> None:
    """Deploy the applications of a config file on a server, in place of all that you have there.

    The code goes along. Exits with 1 if something does not come up; with --no-wait, if it is refused.
    """
    from swath.serve.bundles import pack

    options.say_unused(address=address)
    found = given(
        what,
        arguments,
        name=name,
        route_prefix=route_prefix,
        app_dir=app_dir,
        working_dir=working_dir,
        runtime_env=runtime_env,
        runtime_env_json=runtime_env_json,
        functions=grpc_servicer_functions,
    )
    console = make_console()
    functions = found.read.config.grpc_options.grpc_servicer_functions
    digests: dict[str, str] = {}
    stored: dict[tuple[Path, ...], str] = {}
    for application in found.read.config.applications:
        folders = tuple(code_of(application, found, functions))
        if not folders:
            continue
        if folders not in stored:
            bundle = client.applications.put_bundle(pack(folders[0], folders[1:]))
            stored[folders] = bundle.digest
            if not as_json:
                console.print(
                    f"code of {folders[0]}  [dim]{bundle.files} files, {bundle.digest[:19]}[/]", highlight=False
                )
        digests[application.name] = stored[folders]
    states: dict[str, str] = {}
    last: Any = None
    for last in client.applications.deploy(found.text, file=found.file, bundles=digests, wait=wait):
        options.notes(last.notes)
        if not as_json:
            now = [(each.name, each.status, each.message) for each in last.applications]
            states = print_changes(console, states, now)
    applications = list(last.applications) if last is not None else []
    if as_json:
        print_json(map(message_json, applications))
    elif wait and applications:
        console.print()
        console.print(table(rows_of(applications)))
    wanted = (RUNNING,) if wait else _WORKING
    if any(each.status not in wanted for each in applications):
        raise typer.Exit(1)


@connects
def config(
    client: Any,
    name: Annotated[str, typer.Option("--name", "-n", help="One application; all of yours if left out.")] = "",
    as_json: AsJson = False,
) -> None:
    """Print the config that each of your applications was last deployed with."""
    found = client.applications.configs(name)
    if as_json:
        print_json(map(message_json, found))
        return
    typer.echo("---\n".join(each.config for each in found), nl=False)


@connects
def delete(
    client: Any,
    name: Annotated[str, typer.Argument(help="Name of the application.")],
    yes: Yes = False,
) -> None:
    """Delete one of your applications. Calls that run are answered."""
    _ask(f"Delete the application {name}?", yes)
    client.applications.delete(name)
    make_console().print(f"deleted {name}", highlight=False, markup=False)


@connects
def shutdown(client: Any, yes: Yes = False, address: options.Address = None) -> None:
    """Delete all of your applications on a server. The server goes on."""
    options.say_unused(address=address)
    _ask("Delete all of your applications?", yes)
    names = client.applications.shutdown()
    make_console().print(f"deleted {', '.join(names) or 'nothing: there was none'}", highlight=False, markup=False)


def _ask(question: str, yes: bool) -> None:
    if not yes and sys.stdin.isatty():
        typer.confirm(question, abort=True)
