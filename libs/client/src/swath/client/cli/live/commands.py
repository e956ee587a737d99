"""``swath runs``, ``attach``, ``pause``, ``resume``, ``stop``, ``set`` and ``top``."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from swath.client.cli.connection import connects
from swath.client.cli.output import AsJson, message_json, print_json
from swath.client.cli.output import console as make_console

Run = Annotated[str, typer.Argument(help="Id of the run, or its first characters.")]
_SETTLE_S = 60.0


class State(StrEnum):
    """States of runs."""

    QUEUED = "queued"
    RUNNING = "running"
    STOPPING = "stopping"
    ENDING = "ending"
    COMPLETE = "complete"
    FAILED = "failed"
    CANCELLED = "cancelled"


@connects
def runs(
    client: Any,
    experiment: Annotated[list[str] | None, typer.Option("--experiment", "-e", help="Only of an experiment.")] = None,
    session: Annotated[list[str] | None, typer.Option("--session", help="Only of a session.")] = None,
    state: Annotated[list[State] | None, typer.Option("--state", "-s", help="Only in a state.")] = None,
    name: Annotated[list[str] | None, typer.Option("--name", help="Only of a name.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many at most.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List training runs, newest first."""
    from swath.client.cli.live.tables import runs_table

    found = client.runs.list(
        experiments=experiment or (), sessions=session or (), states=state or (), names=name or (), limit=limit
    )
    if as_json:
        print_json(map(message_json, found))
    elif found:
        make_console().print(runs_table(found))
    else:
        typer.echo("no runs; swath train starts one", err=True)


@connects
def attach(
    client: Any,
    run: Run,
    after: Annotated[int, typer.Option(min=0, help="Only events after this number.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Follow a training run until it is over; leaving does not stop it at once."""
    console = make_console()
    for seq, event in client.runs.attach(run, after=after):
        if as_json:
            print_json([{"seq": seq, **message_json(event)}])
            continue
        values = "  ".join(f"{name} {value:.4g}" for name, value in sorted({**event.losses, **event.metrics}.items()))
        console.print(f"{seq:>7} {event.message}  {values}".rstrip(), highlight=False, markup=False, soft_wrap=True)


@connects
def pause(client: Any, run: Run) -> None:
    """Have a training run wait between two steps; it keeps its device."""
    _settle(client, run, client.runs.pause(run))


@connects
def resume(
    client: Any,
    run: Run,
    steps: Annotated[int, typer.Option(min=0, help="Pause again after so many optimizer steps; 0 goes on.")] = 0,
) -> None:
    """Have a training run go on."""
    _settle(client, run, client.runs.resume(run, steps=steps))


@connects
def stop(client: Any, run: Run) -> None:
    """Have a training run stop with what it has learnt."""
    from swath.client.cli.live.tables import state_of

    typer.echo(f"run {run} is {state_of(client.runs.stop(run))}")


@connects
def set_values(
    client: Any,
    run: Run,
    values: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME=VALUE", help="Such as learning_rate=0.001; none lists them.", show_default=False),
    ] = None,
) -> None:
    """Change hyper-parameters of a training run while it is under way, or list those that can be changed."""
    if values:
        _settle(client, run, client.runs.change(run, _numbers(values)))
        return
    from swath.client.cli.nodes import plain_table

    table = plain_table("name", "value", "range", "takes effect", "what it is")
    for each in client.runs.describe(run).hyperparameters:
        mark = ">" if each.exclusive_minimum else "≥"
        most = f", ≤ {each.maximum:g}" if each.HasField("maximum") else ""
        when = "next epoch" if each.effect == each.EFFECT_NEXT_EPOCH else "next step"
        table.add_row(each.name, f"{each.value:g}", f"{mark} {each.minimum:g}{most}", when, each.description)
    make_console().print(table)


set_values.__name__ = "set"


@connects
def top(
    client: Any,
    every: Annotated[float, typer.Option(min=0.2, help="Seconds between two looks.")] = 1.0,
    once: Annotated[bool, typer.Option("--once", help="Look once.")] = False,
) -> None:
    """Watch the training runs that are under way."""
    import time

    from rich.live import Live

    from swath.client.cli.live.tables import runs_table

    states = [State.QUEUED, State.RUNNING, State.STOPPING, State.ENDING]
    console = make_console()
    if once:
        console.print(runs_table(client.runs.list(states=states)))
        return
    with Live(console=console, auto_refresh=False, screen=console.is_terminal) as live:
        while True:
            live.update(runs_table(client.runs.list(states=states)), refresh=True)
            time.sleep(every)


def _settle(client: Any, run: str, command: Any) -> None:
    """Wait until a command has taken effect, and say so.

    Raises:
        LocalError: The run has refused it.
    """
    from swath.client.errors import LocalError
    from swath.training.v1 import commands_pb2

    told = client.runs.settled(run, command.number, _SETTLE_S)
    if told.state == commands_pb2.COMMAND_STATE_REFUSED:
        raise LocalError(told.message)
    waits = f"asked (number {told.number}); it takes effect when the run's worker is there"
    typer.echo(told.message if told.state == commands_pb2.COMMAND_STATE_DONE else waits)


def _numbers(values: list[str]) -> dict[str, float]:
    from swath.client.errors import LocalError

    numbers: dict[str, float] = {}
    for text in values:
        name, mark, value = text.partition("=")
        try:
            numbers[name] = float(value)
        except ValueError:
            mark = ""
        if not mark:
            raise LocalError(f"expected NAME=NUMBER, such as learning_rate=0.001, got '{text}'")
    return numbers
