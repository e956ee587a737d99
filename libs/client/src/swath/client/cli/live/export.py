"""``swath export``: a run in the form of another tool."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from swath.client.cli.connection import connects


class Tool(StrEnum):
    """Where runs go, by the names that people use."""

    CSV = "csv"
    MLFLOW = "mlflow"
    PARQUET = "parquet"
    TENSORBOARD = "tensorboard"


@connects
def export(
    client: Any,
    run: Annotated[str, typer.Argument(help="Id of the run, or its first characters.")],
    tool: Annotated[Tool, typer.Option("--to", help="What it is for.")],
    out: Annotated[
        str, typer.Option("--out", "-o", help="A folder, in which the run gets one of its own; MLflow: a tracking URI.")
    ] = "",
) -> None:
    """Write a run's curves, parameters, pipeline and weights for another tool."""
    import tempfile
    from pathlib import Path

    from swath.client.export import WRITERS, read_run

    with tempfile.TemporaryDirectory() as folder:
        record = read_run(client, run, Path(folder))
        where = WRITERS[tool.value](record, out)
    typer.echo(f"run {record.run_id}: {len(record.measured)} values and {len(record.files)} files in {where}")
