"""The page of results, from the template `page.md`."""

from __future__ import annotations

import datetime as dt
import os
import platform
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from string import Template

from tools.parity import environment, nodes, pipelines, trainruns
from tools.parity.compare import TARGET, Difference

SECTIONS = frozenset({"nodes", "pipelines", "trainruns"})
"""Parts of the page that are measured separately."""
_PAGE = Path(__file__).with_name("page.md")


def page(
    of_nodes: Sequence[nodes.Row],
    left_out: Mapping[str, str],
    of_pipelines: Sequence[pipelines.Row],
    of_runs: Sequence[trainruns.Row],
) -> str:
    """Return the page as Markdown."""
    return Template(_PAGE.read_text()).substitute(
        versions="\n".join(f"| {name} | {number} |" for name, number in _versions().items()),
        date=dt.date.today(),
        machine=_machine(),
        target=f"{TARGET:g}",
        auc=f"{trainruns.AUC_TARGET:g}",
        epochs=trainruns.EPOCHS,
        nodes=node_lines(of_nodes),
        left_out="\n".join(f"- {name}: {why}" for name, why in sorted(left_out.items())),
        pipelines=pipeline_lines(of_pipelines),
        runs=run_lines(of_runs),
    )


def merged(new: str, old: str, parts: Collection[str]) -> str:
    """Return a new page with the sections of an old one, except for some parts."""
    for part in SECTIONS.difference(parts):
        former, now = _section(part).search(old), _section(part).search(new)
        if former and now:
            new = new[: now.start()] + former.group() + new[now.end() :]
    return new


def _section(part: str) -> re.Pattern[str]:
    return re.compile(rf"<!-- {part} -->.*?<!-- end -->", re.DOTALL)


def node_lines(rows: Sequence[nodes.Row]) -> str:
    """Return a line of the table for each output of each node, its cases joined."""
    groups: dict[tuple[str, str, bool], list[nodes.Row]] = {}
    for row in rows:
        compared = row.same_state is not None or row.own_fit is not None
        groups.setdefault((row.node, row.output, compared), []).append(row)
    return "\n".join(
        _line(
            node,
            output,
            sum(row.calls for row in group),
            _union(row.same_state for row in group),
            _union(row.own_fit for row in group),
            _mark(group),
        )
        for (node, output, _), group in groups.items()
    )


def pipeline_lines(rows: Sequence[pipelines.Row]) -> str:
    """Return a line of the table for each node of each pipeline, its outputs and stages joined."""
    groups: dict[tuple[str, str, str], list[pipelines.Row]] = {}
    for row in rows:
        groups.setdefault((row.pipeline, row.weights, row.output.partition(".")[0]), []).append(row)
    return "\n".join(
        _line(
            pipeline,
            weights,
            node,
            ", ".join(dict.fromkeys(row.output.partition(".")[2] for row in group)),
            _union(row.difference for row in group),
            _mark(group),
        )
        for (pipeline, weights, node), group in groups.items()
    )


def run_lines(rows: Sequence[trainruns.Row]) -> str:
    """Return a line of the table for each run on each scene."""
    return "\n".join(
        _line(
            row.run,
            row.scene,
            ", ".join(f"{area:.5f}" for area in row.theirs),
            f"{row.own_spread:.1e}",
            f"{row.ours:.5f}",
            f"{row.difference:.1e}",
            f"{row.own_order:.5f}",
            f"{row.served:.5f}",
            f"{row.scores:.1e}",
            f"{row.same_weights:.1e}",
            _mark([row]),
        )
        for row in rows
    )


def _line(*cells: object) -> str:
    return "| " + " | ".join("" if cell is None else str(cell).replace("|", "\\|") for cell in cells) + " |"


def _mark(rows: Sequence[nodes.Row | pipelines.Row | trainruns.Row]) -> str:
    reasons = dict.fromkeys(row.remark for row in rows if row.remark and row.on_purpose)
    missed = dict.fromkeys(row.remark for row in rows if not row.met and not row.on_purpose)
    parts = [f"on purpose: {'; '.join(reasons)}"] if reasons else []
    if missed:
        parts.append("**no** " + "; ".join(filter(None, missed)))
    return " ".join(parts).strip()


def _union(differences: Iterable[Difference | None]) -> Difference | None:
    merged = None
    for each in differences:
        merged = each if merged is None else merged if each is None else merged | each
    return merged


def _versions() -> dict[str, str]:
    return {
        **environment.versions(),
        "swath-engine": version("swath-engine"),
        "torch, with Swath": version("torch"),
    }


def _machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores ({platform.machine()}), {memory:.0f} GiB, Python {platform.python_version()}"
