"""``swath app status``, and how states of applications look."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swath.client.cli.connection import connects
from swath.client.cli.nodes import plain_table
from swath.client.cli.output import AsJson, message_json, print_json
from swath.client.cli.output import console as make_console

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

RUNNING = "RUNNING"
_COLOURS = {
    "RUNNING": "green",
    "HEALTHY": "green",
    "DEPLOYING": "yellow",
    "NOT_STARTED": "yellow",
    "UPDATING": "yellow",
    "UPSCALING": "cyan",
    "DOWNSCALING": "cyan",
    "DELETING": "yellow",
    "UNHEALTHY": "red",
    "DEPLOY_FAILED": "red",
}
_AGES = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


@dataclass(frozen=True)
class Row:
    """A line of the table: an application, or a deployment of the one above.

    Attributes:
        name: Its name.
        status: Its state.
        replicas: Replicas by state.
        message: In words.
        deployed_at: When it was last deployed, Unix time in seconds; 0 for a deployment.
        about: What else there is to say.
    """

    name: str
    status: str
    replicas: Sequence[tuple[str, int]] = ()
    message: str = ""
    deployed_at: float = 0.0
    about: str = ""


@connects
def status(
    client: Any,
    name: Annotated[str, typer.Option("--name", "-n", help="One application; all if left out.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show the applications of a server: state, deployments, replicas."""
    found = client.applications.status(name)
    if as_json:
        print_json(map(message_json, found))
        return
    console = make_console()
    if not found:
        console.print("no application is deployed; swath app deploy CONFIG does it", highlight=False)
        return
    console.print(table(rows_of(found)))


def rows_of(applications: Iterable[Any]) -> Iterable[Row]:
    """Iterate over the lines of applications as a server tells of them."""
    for each in applications:
        about = ", ".join((*([each.owner] if each.owner else []), each.access))
        yield Row(each.name, each.status, (), each.message, each.last_deployed_time_s, about)
        for one in each.deployments:
            replicas = sorted(one.replica_states.items())
            yield Row(f"  {one.name}", one.status, replicas, one.message or _trigger(one.status_trigger))


def local_rows(told: Any) -> Iterable[Row]:
    """Iterate over the lines of what `swath.serve.status()` returns."""
    for name, each in told.applications.items():
        yield Row(name, each.status, (), each.message, each.last_deployed_time_s)
        for one in each.deployments.values():
            replicas = sorted(one.replica_states.items())
            yield Row(f"  {one.name}", one.status, replicas, one.message or _trigger(one.status_trigger))


def table(rows: Iterable[Row]) -> Table:
    """Return a table of applications and their deployments."""
    from rich.markup import escape

    made = plain_table("application", "state", "replicas", "deployed", "")
    for row in rows:
        colour = _COLOURS.get(row.status, "white")
        bold = "" if row.name.startswith(" ") else "[bold]"
        replicas = ", ".join(f"{number} {state.lower()}" for state, number in row.replicas if number)
        words = escape(" ".join(each for each in (row.about, row.message) if each))
        made.add_row(
            f"{bold}{escape(row.name)}{'[/]' if bold else ''}",
            f"[{colour}]{row.status}[/]",
            replicas,
            f"{_age(row.deployed_at)} ago" if row.deployed_at else "",
            f"[red]{words}[/]" if colour == "red" else f"[dim]{words}[/]",
        )
    return made


def print_changes(console: Console, before: dict[str, str], now: Iterable[tuple[str, str, str]]) -> dict[str, str]:
    """Print each application whose state is another than before; return the states.

    Args:
        console: Where.
        before: States by name.
        now: Names, states and words.
    """
    from rich.markup import escape

    after = {}
    for name, state, message in now:
        after[name] = state
        if before.get(name) != state:
            said = f"  {escape(message)}" if message else ""
            console.print(f"[bold]{escape(name)}[/] [{_COLOURS.get(state, 'white')}]{state}[/]{said}", highlight=False)
    return after


def _trigger(text: str) -> str:
    return text.lower().replace("_", " ") if text not in ("", "UNSPECIFIED", "CONFIG_UPDATE_COMPLETED") else ""


def _age(moment: float) -> str:
    seconds = max(0.0, time.time() - moment)
    for size, unit in _AGES:
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return "0 s"
