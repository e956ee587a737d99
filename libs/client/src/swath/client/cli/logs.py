"""``swath logs``: the log lines of a training run's workers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from swath.client.cli.connection import connects

if TYPE_CHECKING:
    from rich.text import Text

    from swath.client.logs import LogLine

_STYLES = {"debug": "dim", "info": "cyan", "warning": "yellow", "error": "bold red", "critical": "bold red"}


@connects
def logs(
    client: Any,
    run: Annotated[str, typer.Argument(help="Id of the run, as swath train prints it.")],
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Wait for lines that are still to come, until the run is over.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print each line as a JSON object.")] = False,
) -> None:
    """Print what the workers of a training run have logged."""
    import json

    from rich.console import Console

    console = Console(soft_wrap=True)
    before = 0
    for line in client.logs(run, follow=follow):
        if as_json:
            typer.echo(json.dumps(line.as_dict()))
            continue
        if missing := line.number - before - 1:
            console.print(f"... dropped: {missing}", style="dim", highlight=False)
        before = line.number
        console.print(pretty(line), highlight=False)
    if not before and not as_json:
        typer.echo(f"no lines: the workers of run {run} have logged nothing yet", err=True)


def pretty(line: LogLine) -> Text:
    """A line for people: local time, attempt, level, text and facts, and below it the exception."""
    from datetime import datetime

    from rich.text import Text

    when = datetime.fromtimestamp(line.time).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    shown = Text.assemble(
        (f"{when} #{line.attempt} ", "dim"), (f"{line.level:<8}", _STYLES.get(line.level, "")), f" {line.text}"
    )
    for name, value in sorted(line.facts.items()):
        shown.append(f"  {name}=", "dim").append(value)
    if line.exception:
        shown.append(f"\n{line.exception.rstrip()}", "red")
    return shown
