"""``swath restore``: open a saved trainrun again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from swath.client.cli.connection import connects
from swath.client.cli.output import console as make_console
from swath.client.cli.train import Phase, phases, run_phase

if TYPE_CHECKING:
    from rich.table import Table

    from swath.client.sync import Client, Session


@connects
def restore(
    client: Any,
    trainrun: Annotated[str, typer.Argument(help="Saved trainrun on the server, as swath train --save wrote it.")],
    weights: Annotated[
        str, typer.Option("--weights", "-w", help="Weights on the server; those beside the trainrun if left out.")
    ] = "",
    phase: Annotated[
        Phase | None, typer.Option(help="Train again after restoring.", show_default=False, case_sensitive=False)
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the session open and print its id.")] = False,
) -> None:
    """Restore a saved trainrun and show what it takes and gives."""
    console = make_console()
    session = open_trainrun(client, trainrun, weights)
    try:
        console.print(f"restored {session.run_config.get('name', trainrun)}", highlight=False)
        console.print(_specs("input", session.inputs()), _specs("output", session.outputs()))
        for name in phases(phase, session.run_config) if phase else ():
            run_phase(session, name, console)
    finally:
        if keep:
            console.print(f"session   {session.id}", highlight=False)
        else:
            session.close()


def open_trainrun(client: Client, path: str, weights: str = "") -> Session:
    """Restore a trainrun with the weights named, or else with those saved beside it, or else with none."""
    from swath.client.errors import NotFoundError

    if weights:
        return client.restore(path, weights)
    beside = path.removesuffix(".yaml").removesuffix(".yml") + "_pipeline.pt"
    try:
        return client.restore(path, beside)
    except NotFoundError:
        session = client.restore(path)
        typer.echo(f"no weights at {beside}: restored the trainrun as it is", err=True)
        return session


def _specs(title: str, specs: dict[str, Any]) -> Table:
    from rich.table import Table

    from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb

    table = Table(title, "dtype", "shape", "required", box=None, pad_edge=False)
    for name, spec in sorted(specs.items()):
        dtype = pb.DType.Name(spec.dtype).removeprefix("D_TYPE_").lower() if spec.dtype else "any"
        table.add_row(name, dtype, str(list(spec.shape)), "yes" if spec.required else "")
    return table
