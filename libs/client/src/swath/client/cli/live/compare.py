"""``swath compare``: runs beside one another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from swath.client.cli.connection import connects
from swath.client.cli.output import AsJson, print_json
from swath.client.cli.output import console as make_console

_POINTS = 200


@connects
def compare(
    client: Any,
    runs: Annotated[list[str], typer.Argument(help="Ids of the runs, or their first characters.")],
    metric: Annotated[str, typer.Option("--metric", "-m", help="The curve, such as val_loss.")] = "val_loss",
    split: Annotated[str, typer.Option(help="What it was measured on; where it is if left out.")] = "",
    plot: Annotated[
        Path | None, typer.Option(help="Draw the curves into this file (PNG, PDF or SVG).", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show runs beside one another: hyper-parameters, and how a metric went."""
    from swath.client.cli.live.tables import spark, state_of
    from swath.client.cli.nodes import plain_table

    found = [client.runs.get(run) for run in runs]
    curves = {run.run_id: _curve(client, run, metric, split) for run in found}
    rows = []
    for run in found:
        values = list(curves[run.run_id].values)
        rows.append(
            {
                "run": run.run_id,
                "name": run.name,
                "state": state_of(run),
                "step": run.step,
                "hyperparameters": dict(run.hyperparameters),
                "metric": metric,
                "last": values[-1] if values else None,
                "lowest": min(values, default=None),
                "highest": max(values, default=None),
            }
        )
    if as_json:
        print_json(rows)
    else:
        table = plain_table("run", "name", "state", "step", "hyper-parameters", "last", "lowest", "highest", metric)
        for run, row in zip(found, rows, strict=True):
            changed = " ".join(f"{name}={value:g}" for name, value in sorted(row["hyperparameters"].items()))
            numbers = ["" if row[key] is None else f"{row[key]:.4g}" for key in ("last", "lowest", "highest")]
            line = spark(list(curves[run.run_id].values))
            table.add_row(run.run_id, row["name"], row["state"], str(row["step"]), changed, *numbers, line)
        make_console().print(table)
    if plot is not None:
        _draw(found, curves, metric, plot)


def _curve(client: Any, run: Any, metric: str, split: str) -> Any:
    """The run's curve of that name, on the split where it has most points.

    Raises:
        NotFoundError: The run has no such curve.
    """
    there = [each for each in client.runs.curves(run.run_id) if each.name == metric and split in ("", each.split)]
    chosen = max(there, key=lambda each: each.count).split if there else split
    return client.runs.curve(run.run_id, metric, chosen, max_points=_POINTS)


def _draw(runs: list[Any], curves: dict[str, Any], metric: str, file: Path) -> None:
    from swath.client.cli.output import wrote
    from swath.client.data.packages import optional_module

    figures = optional_module("matplotlib.figure", extra="plots", purpose="drawing curves")
    figure = figures.Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    for run in runs:
        curve = curves[run.run_id]
        axes.plot(list(curve.steps), list(curve.values), label=run.name or run.run_id[:8])
    axes.set_xlabel("optimizer steps")
    axes.set_ylabel(metric)
    axes.legend()
    figure.savefig(file, dpi=150)
    wrote(make_console(), file)
