"""``swath train``: a trainrun from its config to saved weights."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swath.client.cli.connection import connects
from swath.client.cli.output import console as make_console
from swath.client.cli.overrides import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from swath.client.runs import RunSummary
    from swath.client.sync import Session
    from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb


class Phase(StrEnum):
    """What to run; auto adds the gradient phase where the trainrun names losses."""

    AUTO = "auto"
    STATISTICAL = "statistical"
    GRADIENT = "gradient"
    BOTH = "both"
    CALIBRATION = "calibration"


@connects
def train(
    client: Any,
    trainrun: Annotated[str, typer.Argument(help="Trainrun below the server's configs/trainrun, without .yaml.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Hydra overrides, such as training.max_epochs=5.", show_default=False)
    ] = None,
    phase: Annotated[Phase, typer.Option(help="Which training to run.")] = Phase.AUTO,
    upload: Annotated[
        list[str] | None,
        typer.Option("--upload", "-u", metavar="LOCAL[:PATH]", help="Send a file or folder to the server first."),
    ] = None,
    save: Annotated[
        str, typer.Option(help="Save the trainrun, its pipeline and weights under this path on the server.")
    ] = "",
    save_pipeline: Annotated[
        str, typer.Option(help="Save pipeline and weights below the server's configs/pipeline.")
    ] = "",
    experiment: Annotated[
        str, typer.Option("--experiment", "-e", help="What the runs belong to; their session if left out.")
    ] = "",
    name: Annotated[str, typer.Option(help="A name for the runs.")] = "",
    keep: Annotated[bool, typer.Option("--keep", help="Leave the session open and print its id.")] = False,
) -> None:
    """Train a pipeline and watch it."""
    from swath.client.cli.files import upload as send

    console = make_console()
    for item in upload or ():
        local, _, remote = item.partition(":")
        send(client, local, remote)
    session = client.open_session()
    try:
        config = session.resolve("trainrun", trainrun, quoted(overrides or ()))
        session.set_run_config(config)
        for each in phases(phase, config):
            run_phase(session, each, console, experiment, name)
        if save_pipeline:
            saved = session.save_pipeline(save_pipeline)
            _print_saved(client, console, "pipeline", saved.pipeline)
            _print_saved(client, console, "weights", saved.weights)
        if save:
            saved = session.save_trainrun(save)
            _print_saved(client, console, "trainrun", saved.trainrun, saved.pipeline)
            _print_saved(client, console, "weights", saved.weights)
    finally:
        if keep:
            console.print(f"session   {session.id}", highlight=False)
        else:
            session.close()


def _print_saved(client: Any, console: Console, title: str, *files: str) -> None:
    """Say which files the server has written, and how large they are."""
    from rich.filesize import decimal
    from rich.markup import escape

    from swath.client.errors import CallError

    shown = []
    for file in files:
        try:
            size = decimal(client.workspace.stat(file).size)
        except CallError:  # it lies in an allowed folder outside of the workspace
            size = ""
        shown.append(f"{escape(file)}  [dim]{size}[/]".rstrip())
    console.print(f"{title:<9} {', '.join(shown)}", highlight=False, soft_wrap=True)


def phases(phase: Phase, config: dict[str, Any]) -> list[str]:
    """The phases to run, in order."""
    if phase is Phase.AUTO:
        phase = Phase.BOTH if config.get("loss_nodes") else Phase.STATISTICAL
    return ["statistical", "gradient"] if phase is Phase.BOTH else [phase.value]


def run_phase(session: Session, phase: str, console: Console, experiment: str = "", name: str = "") -> RunSummary:
    """Run one phase with progress bars and print what it came to.

    Raises:
        LocalError: It ended without being complete.
    """
    from time import perf_counter

    from swath.client.cli.progress import TrainView, note
    from swath.client.errors import LocalError

    started = perf_counter()
    try:
        with TrainView(phase, console) as view:
            summary = view.follow(_announced(session, phase, console, experiment, name))
    except KeyboardInterrupt:
        session.stop()
        raise
    if not summary.complete:
        raise LocalError(f"{phase} training ended as {summary.status}: {summary.message}")
    console.print(
        f"[green]✓[/] {phase}  [dim]{perf_counter() - started:.1f} s[/]  {summary.message}  [dim]{note(summary)}[/]",
        highlight=False,
    )
    for line in summary.evaluation_lines():
        console.print(f"  {line}", highlight=False, markup=False)
    return summary


def _announced(
    session: Session, phase: str, console: Console, experiment: str, name: str
) -> Iterator[pb.TrainResponse]:
    """Train, and print the id under which the run's log is found, also if it fails at once."""
    announced = ""
    try:
        for progress in session.train(phase, experiment=experiment, name=name):
            if announced != session.run_id:
                announced = _announce(session, console)
            yield progress
    finally:
        if announced != session.run_id:
            _announce(session, console)


def _announce(session: Session, console: Console) -> str:
    console.print(f"run       {session.run_id}", highlight=False)
    return session.run_id
