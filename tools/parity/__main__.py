"""Measures parity: ``python -m tools.parity [nodes] [pipelines] [trainruns] [--write]``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from tools.parity import environment, nodes, pipelines, report, trainruns
from tools.parity.cases import cases, left_out
from tools.parity.example_scenes import NAMES, ExampleScene

PAGE = environment.ROOT / "docs" / "reference" / "parity.md"
SCENES = (environment.ROOT / "examples" / "data", environment.ROOT.parent / "shared" / "data")
PARTS = ("nodes", "pipelines", "trainruns")


def _file(name: str, folders: Sequence[Path]) -> Path | None:
    found = next((folder / f"{name}.npz" for folder in folders if (folder / f"{name}.npz").is_file()), None)
    if found is None:
        print(f"left out: the scene {name}.npz is in none of {', '.join(map(str, folders))}", file=sys.stderr)
    return found


def main() -> int:
    """Measure the given parts, print the results, and return 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m tools.parity", description=__doc__)
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"what to measure; all of {', '.join(PARTS)} if left out"
    )
    parser.add_argument("--write", action="store_true", help=f"bring {PAGE.relative_to(environment.ROOT)} up to date")
    parser.add_argument("--only", metavar="NODE", nargs="+", default=(), help="nodes to compare, by class name")
    parser.add_argument("--scenes", type=Path, nargs="+", default=SCENES, help="folders of the scenes' .npz files")
    given = parser.parse_args()
    parts = given.parts or PARTS
    if unknown := set(parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    if given.write and given.only:
        parser.error("the page takes all nodes")
    # Both sides on one thread, so that the order of sums is fixed.
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    scenes = {name: ExampleScene.read(file) for name in NAMES if (file := _file(name, given.scenes))}
    chosen = [case for case in cases() if not given.only or case.class_name in given.only]
    of_nodes = nodes.measure(chosen) if "nodes" in parts else []
    of_pipelines = pipelines.measure(next(iter(scenes.values()))) if "pipelines" in parts else []
    of_runs = trainruns.measure(scenes) if "trainruns" in parts else []
    for lines in (report.node_lines(of_nodes), report.pipeline_lines(of_pipelines), report.run_lines(of_runs)):
        print(lines)
    if given.write:
        page = report.page(of_nodes, left_out(), of_pipelines, of_runs)
        PAGE.write_text(report.merged(page, PAGE.read_text() if PAGE.is_file() else "", parts))
    missed = [
        row for row in (*of_nodes, *of_pipelines, *of_runs) if not row.met and not getattr(row, "on_purpose", False)
    ]
    return 1 if missed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except environment.EnvironmentMissing as missing:
        sys.exit(str(missing))
