"""Runs the measurements: `python -m benchmarks [NAME ...] [--write]`."""

from __future__ import annotations

import argparse
import datetime as dt
import importlib
import os
import platform
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.harness import Row

NAMES = (
    "startup",
    "load_pipeline",
    "rpc",
    "inference",
    "batching",
    "large_messages",
    "streaming",
    "statistical",
    "gradient",
    "invalid",
    "first_event",
    "resolve",
    "sessions",
    "samples",
    "suite",
    "reference",
)
RESULTS = Path(__file__).parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure Swath against floors and peers.")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"what to measure; all of {', '.join(NAMES)} if left out"
    )
    parser.add_argument("--write", action="store_true", help=f"keep the table in {RESULTS.name}/")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(NAMES):
        parser.error(f"no measurement named {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    console = Console()
    rows = []
    for name in arguments.names or NAMES:
        with console.status(name):
            measured = importlib.import_module(f"benchmarks.{name}").measure()
        for row in measured:
            console.print(f"{_mark(row)} {row.name}: {row.value}")
        rows += measured
    console.print(_table(rows))
    if arguments.write:
        console.print(f"written to {_write(rows)}")


def _mark(row: Row) -> str:
    return {True: "[green]✓[/]", False: "[red]✗[/]", None: " "}[row.met]


def _table(rows: list[Row]) -> Table:
    table = Table("", "measured", "figure", "target")
    for row in rows:
        table.add_row(_mark(row), row.name, row.value, row.target)
    return table


def _write(rows: list[Row]) -> Path:
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{dt.date.today().isoformat()}.md"
    marks = {True: "yes", False: "**no**", None: ""}
    lines = [f"# {path.stem}", "", machine(), "", "| measured | figure | target | met |", "|---|---|---|---|"]
    lines += [f"| {row.name} | {row.value} | {row.target} | {marks[row.met]} |" for row in rows]
    path.write_text("\n".join(lines) + "\n")
    return path


def machine() -> str:
    """Return what figures depend on, in words."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{os.cpu_count()} cores ({platform.machine()}), {memory:.0f} GiB, Python {platform.python_version()}, CPU only"
    )


if __name__ == "__main__":
    main()
