"""Runs the comparison: `python -m benchmarks.apps`, or `make bench-apps`."""

from __future__ import annotations

import argparse
import datetime as dt
import tempfile
from pathlib import Path

from rich.console import Console

from benchmarks.__main__ import RESULTS, machine
from benchmarks.apps.measures import measure
from benchmarks.apps.report import page
from benchmarks.apps.side import kinds
from benchmarks.serving import ghz

_NOTES = Path(__file__).with_name("notes.md")
_console = Console()


def main() -> None:
    """Measure, print, and write where that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.apps", description="Applications beside Ray Serve.")
    parser.add_argument("--sides", nargs="*", default=["swath", "ray"], choices=["swath", "ray"])
    parser.add_argument("--seconds", type=float, default=4.0, help="how long each kind of call is made")
    parser.add_argument("--write", action="store_true", help="keep the results in benchmarks/results")
    arguments = parser.parse_args()
    ghz.program()
    figures = {}
    for kind in kinds(arguments.sides):
        with tempfile.TemporaryDirectory(prefix=f"bench-{kind.name}-") as folder:
            figures[kind.name] = measure(kind, Path(folder), arguments.seconds, _console.print)
    head = (
        f"# Applications: {dt.date.today().isoformat()}\n\n{machine()}\n\nWritten by `make bench-apps`: the same "
        "deployments, config file and client for both, one after the other; Ray Serve 2.60 in an environment of its\n"
        "own. Unary calls are ghz's, over one connection; streams, and what happens to replicas, a Python client's."
    )
    text = page(figures, head, _NOTES.read_text().strip() if _NOTES.exists() else "")
    _console.print(text, markup=False)
    if arguments.write:
        (RESULTS / "apps.md").write_text(text)


if __name__ == "__main__":
    main()
