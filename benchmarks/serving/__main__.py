"""Runs the comparison: `python -m benchmarks.serving`, or `make bench-serving`."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks.__main__ import RESULTS, machine
from benchmarks.serving import extras, ghz
from benchmarks.serving.messages import ROOT
from benchmarks.serving.report import page
from benchmarks.serving.results import Journal, Results
from benchmarks.serving.run import Run, wanted
from benchmarks.serving.side import Side
from benchmarks.serving.sides import FLOORS, OIP_NAME, PEERS, UNBATCHED_NAME, install
from benchmarks.serving.works import WORKS

FOLDER = ROOT / "build" / "bench-serving"
GRPCIO = "grpcio"
EXTRAS = ("idle", "memory", "streams", "chunked", "gateway")
_OF_SERVERS = (("idle", "idle_percent", extras.idle_percent), ("memory", "peak_ratio", extras.peak_ratio))
_console = Console()


def main() -> int:
    """Measure, print and write; 1 where a server that runs gave wrong answers."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description="Swath beside its peers.")
    names = [*(work.name for work in WORKS), *EXTRAS, GRPCIO]
    parser.add_argument("--peers", nargs="*", default=PEERS, help=f"which of {', '.join(PEERS)}; all if left out")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured")
    parser.add_argument(
        "--only", nargs="*", default=[], help=f"beginnings of {', '.join(names)}; all but the last if none"
    )
    parser.add_argument("--resume", action="store_true", help="go on with a run that was cut off")
    parser.add_argument("--write", action="store_true", help="keep the results in benchmarks/results")
    arguments = parser.parse_args()
    if unknown := set(arguments.peers) - set(PEERS):
        parser.error(f"no peer named {', '.join(sorted(unknown))}; there are {', '.join(PEERS)}")
    if unknown := [each for each in arguments.only if not any(name.startswith(each) for name in names)]:
        parser.error(f"nothing is named {', '.join(unknown)}; there are {', '.join(names)}")
    ghz.program()
    # Servers are stopped then, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    if not arguments.resume:
        shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True, exist_ok=True)
    chosen = [name for name in names if any(name.startswith(each) for each in arguments.only)]
    chosen = chosen or [name for name in names if name != GRPCIO]
    journal = Journal(FOLDER / "journal.jsonl")
    if GRPCIO in chosen:
        _grpcio(journal, arguments.rounds)
    else:
        _compare(journal, chosen, arguments.peers, arguments.rounds)
    return _told(Results(journal), arguments.rounds, write=arguments.write)


def _compare(journal: Journal, chosen: Sequence[str], peers: Sequence[str], rounds: int) -> None:
    works = [work for work in WORKS if work.name in chosen]
    floors = [name for name in FLOORS if any(name in work.floors for work in works)]
    unbatched = [UNBATCHED_NAME] if any(wanted(work, UNBATCHED_NAME) for work in works) else []
    everyone = works or any(name in chosen for name, _, _ in _OF_SERVERS)
    ours = ["swath"] if everyone or {"streams", "chunked"} & set(chosen) else []
    ours += [OIP_NAME] if works else []
    with Run(FOLDER, journal, works, _console.print) as run:
        for name in (*floors, *ours, *unbatched, *(peers if everyone else ())):
            run.start(name, partial(run.makers.make, name))
        run.rounds(rounds)
        for side in run.sides.values():
            _know(journal, run, side, chosen)
        if (swath := run.sides.get("swath")) is not None:
            with run.awake(swath):
                _extra(journal, chosen, "streams", partial(extras.idle_streams, swath))
                _extra(journal, chosen, "chunked", partial(extras.chunked, swath))
    _extra(journal, chosen, "gateway", partial(extras.gateway, FOLDER, rounds))


def _know(journal: Journal, run: Run, side: Side, chosen: Sequence[str]) -> None:
    """Measure what there is one figure of for each server."""
    for name, key, measure in _OF_SERVERS:
        known = journal["server", side.name]
        if name in chosen and key not in known:
            with run.awake(side):
                found = _figures(name, partial(_one, key, measure, side))
            journal.add(("server", side.name), known | found)


def _one(key: str, measure: Callable[[Side], float], side: Side) -> dict[str, float]:
    return {key: measure(side)}


def _extra(journal: Journal, chosen: Sequence[str], name: str, measure: Callable[[], dict[str, float]]) -> None:
    if name in chosen and ("done", name) not in journal:
        _console.print(name)
        for key, value in _figures(name, measure).items():
            journal.add(("extra", key), value)
        journal.add(("done", name), True)


def _figures(name: str, measure: Callable[[], dict[str, float]]) -> dict[str, Any]:
    try:
        return measure()
    except Exception as error:  # the other figures are to be kept, and this one's absence is told
        _console.print(f"{name} is not measured: {error}")
        return {name: str(error).strip()[-400:] or repr(error)}


def _grpcio(journal: Journal, rounds: int) -> None:
    """Compare releases of grpcio by the echoes."""
    works = [work for work in WORKS if work.name.startswith("tiny")]
    with Run(FOLDER, journal, works, _console.print) as run:
        newest = install(GRPCIO)
        for title, python in (("", None), (" (newest grpcio)", newest)):
            for floor in ("echo-aio", "echo-sync"):
                run.start(f"{floor}{title}", partial(run.makers.floor, floor, python, f"{floor}{title}"))
        run.rounds(rounds)


def _told(results: Results, rounds: int, *, write: bool) -> int:
    day = dt.date.today().isoformat()
    text = page(results, day=day, machine=machine(), rounds=rounds)
    _console.print(text, markup=False, soft_wrap=True)
    places = [FOLDER, *([RESULTS] if write else [])]
    for place in places:
        _write(place, text, {"day": day, "machine": machine(), "rounds": rounds, **results.to_json()})
    wrong = [f"{work}, {side}: {error}" for (work, side), error in results.errors.items() if "the answer" in error]
    for each in wrong:
        _console.print(f"wrong: {each}", markup=False)
    return 1 if wrong else 0


def _write(place: Path, text: str, figures: dict[str, Any]) -> None:
    (place / "serving.md").write_text(text)
    (place / "serving.json").write_text(json.dumps(figures, indent=2) + "\n")
    _console.print(f"written to {place / 'serving.md'}")


if __name__ == "__main__":
    sys.exit(main())
