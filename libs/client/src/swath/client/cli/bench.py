"""``swath bench``: how fast a session or a published model answers, against a floor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swath.client.cli.connection import connects

if TYPE_CHECKING:
    from swath.client.bench.measure import Run
    from swath.client.bench.processes import ServerProcesses
    from swath.client.config import ClientConfig

INPUT = "Input"


def _concurrencies(text: str) -> list[int]:
    from swath.client.errors import LocalError

    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and 1 <= int(part) <= 4096 for part in parts):
        raise LocalError(f"--concurrency: expected numbers from 1 to 4096 with commas between, got {text!r}")
    return [int(part) for part in parts]


@connects
def bench(
    client: Any,
    subject: Annotated[
        str, typer.Argument(metavar="MODEL|SESSION", help="Published model, NAME or NAME:VERSION; or a session's id.")
    ],
    concurrency: Annotated[
        str, typer.Option("--concurrency", "-c", help="Calls at a time; several with commas between.")
    ] = "1,8",
    seconds: Annotated[float, typer.Option(min=0.1, help="Seconds of calls at each concurrency, and of floor.")] = 6.0,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of calls and floor that the seconds are in.")] = 3,
    scene: Annotated[
        Path | None, typer.Option(help="Scene on this machine to send, in place of numbers.", rich_help_panel=INPUT)
    ] = None,
    inputs: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            help="Input to make numbers up for; those that must be there if none is named.",
            rich_help_panel=INPUT,
        ),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="Items of a batch.", rich_help_panel=INPUT)] = 1,
    size: Annotated[int, typer.Option(min=1, help="Rows and columns of an item.", rich_help_panel=INPUT)] = 64,
    bands: Annotated[int, typer.Option(min=1, help="Channels, where any will do.", rich_help_panel=INPUT)] = 32,
    port: Annotated[
        list[str] | None, typer.Option("--port", help="Output to compute: node.port or port; all if left out.")
    ] = None,
    pid: Annotated[
        list[int] | None,
        typer.Option(help="Process of the server whose CPU time counts; found by itself where it listens here."),
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Picture of the latencies: .png, .svg or .pdf.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object in place of a table.")] = False,
) -> None:
    """Measure calls of a published model or a session: latencies, throughput, CPU per call.

    The floor is a health check that carries the same bytes to the same address: what is above it is the model's.
    """
    import asyncio

    from swath.client.bench.processes import server_processes

    wanted = _concurrencies(concurrency)
    processes = server_processes(client.config.target, pid or ())
    sizes = {"batch": batch, "height": size, "width": size, "channels": bands}
    report, runs = asyncio.run(
        _measured(
            client.config,
            subject,
            processes,
            scene=scene,
            names=inputs or (),
            sizes=sizes,
            outputs=port or (),
            how={"concurrencies": wanted, "seconds": seconds, "rounds": rounds},
            quiet=as_json,
        )
    )
    if plot is not None:
        from swath.client.bench.plot import draw

        draw(runs, f"{report['called']} at {report['target']}", plot)
    if as_json:
        from swath.client.cli.output import print_json

        print_json([report])
    else:
        _print(report)


async def _measured(
    config: ClientConfig,
    name: str,
    processes: ServerProcesses,
    *,
    scene: Path | None,
    names: Any,
    sizes: dict[str, int],
    outputs: Any,
    how: dict[str, Any],
    quiet: bool,
) -> tuple[dict[str, Any], list[Run]]:
    from swath.client.aio import AsyncClient
    from swath.client.bench.inputs import from_scene, made_up
    from swath.client.bench.measure import measure
    from swath.client.bench.subjects import Subject, floor_of
    from swath.client.data.scenes import read_scenes

    async with AsyncClient(config) as client:
        subject = Subject(client, name)
        specs = await subject.specs()
        arrays = made_up(specs, sizes, names) if scene is None else from_scene(next(iter(read_scenes(scene))), specs)
        request = subject.request(arrays, list(outputs))
        floor = floor_of(request)
        answer = await client.send(request.path, request.body, request.model)

        def told(at_a_time: int) -> None:
            if not quiet:
                typer.echo(f"measuring {subject.what}, {at_a_time} at a time ...", err=True)

        runs = await measure(
            lambda: client.send(request.path, request.body, request.model),
            lambda: client.send(floor.path, floor.body),
            cpu=processes.cpu,
            told=told,
            **how,
        )
    tensors = {key: {"shape": list(each.shape), "dtype": each.dtype.name} for key, each in arrays.items()}
    report = {
        "target": config.target,
        "called": request.what,
        "method": request.path,
        "floor": {"method": floor.path, "request_bytes": len(floor.body)},
        "input": {"from": "specs" if scene is None else str(scene), "tensors": tensors},
        "request_bytes": len(request.body),
        "answer_bytes": len(answer),
        "rounds": how["rounds"],
        "server_cpu": processes.why,
        "runs": [run.report() for run in runs],
    }
    return report, runs


def _print(report: dict[str, Any]) -> None:
    from rich.filesize import decimal
    from rich.table import Table

    from swath.client.cli.output import console as make_console

    console = make_console()
    sent = ", ".join(f"{name} {each['dtype']} {each['shape']}" for name, each in report["input"]["tensors"].items())
    console.print(f"{report['called']} at {report['target']}", highlight=False)
    console.print(
        f"  {sent}: {decimal(report['request_bytes'])} there, {decimal(report['answer_bytes'])} back",
        highlight=False,
        markup=False,
    )
    table = Table("at a time", "", "calls/s", "p50 ms", "p90 ms", "p95 ms", "p99 ms", "max ms", "CPU ms/call", "failed")
    for run in report["runs"]:
        for name, each in (("calls", run), ("floor", run["floor"])):
            latency = each["latency_ms"]
            numbers = (each["calls_per_s"], *(latency[key] for key in ("p50", "p90", "p95", "p99", "max")))
            table.add_row(
                str(run["concurrency"]) if name == "calls" else "",
                name,
                *(_number(each) for each in (*numbers, each["server_cpu_ms_per_call"])),
                ", ".join(f"{count} {code}" for code, count in each["failures"].items()) or "-",
            )
    console.print(table)
    console.print(f"  CPU time is {report['server_cpu']}", highlight=False, markup=False)
    busy = [run for run in report["runs"] if (run["client_cpu_share"] or 0.0) > _BUSY]
    for run in busy:
        console.print(
            f"  {run['concurrency']} at a time: this client was busy for {run['client_cpu_share']:.0%} of the time: "
            "the server may do more",
            highlight=False,
        )


_BUSY = 0.9


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}" if value < 100 else f"{value:.0f}"
