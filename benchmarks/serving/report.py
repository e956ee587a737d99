"""The page of a run's results."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.serving.results import Results
from benchmarks.serving.targets import TARGETS, Target
from benchmarks.serving.works import WORKS

_HEAD = """# Serving: {day}

{machine}

Written by `make bench-serving`: every server serves the same models, ghz sends the same tensors to each in turn, over
one connection, while the others stand still; medians of {rounds} rounds. CPU is the server's, with all processes that
it has started. *echo-aio* and *echo-sync* answer with ready-made bytes of the same size on grpc.aio and on the server
of threads; *echo-tuned* does so on grpc.aio with the allocator told to keep large blocks (mallopt); *model-tuned* does
that too, parses the request and computes the model. *swath-unbatched* keeps calls apart; *swath-oip* answers for
published models by the Open Inference Protocol. Every answer was compared with
the bare model's before it was timed. The floor of ratios is *echo-aio*.
"""


def page(results: Results, *, day: str, machine: str, rounds: int) -> str:
    """Return the page, as Markdown."""
    lines = [_HEAD.format(day=day, machine=machine, rounds=rounds), "## Targets", *_targets(results)]
    for work in WORKS:
        rows = list(_work(results, work.name))
        if rows:
            lines += ["", f"## {work.title}", "", *_forward(results, work.name), *rows]
    lines += ["", "## Servers", "", *_servers(results)]
    return "\n".join(lines) + "\n"


def _targets(results: Results) -> Iterator[str]:
    yield ""
    yield "| figure of Swath | measured | target | met |"
    yield "|---|---|---|---|"
    for target in TARGETS:
        yield _target(target, target.value(results))
    told = [f"{name}: {value}" for name, value in results.extras.items() if isinstance(value, str)]
    if told:
        yield ""
        yield "Not measured: " + "; ".join(told) + "."


def _target(target: Target, value: float | None) -> str:
    if value is None:
        return f"| {target.title} | - | {target.text} | not measured |"
    unit = "x" if target.unit == "x" else f" {target.unit}"
    return f"| {target.title} | {value:.3g}{unit} | {target.text} | {'yes' if target.met(value) else '**no**'} |"


def _forward(results: Results, work: str) -> Iterator[str]:
    if (seconds := results.forwards.get(work)) is not None:
        yield f"The bare forward takes {seconds * 1e3:.3g} ms."
        yield ""


def _work(results: Results, work: str) -> Iterator[str]:
    sides = [side for name, side in results.figures if name == work]
    failed = {side: error for (name, side), error in results.errors.items() if name == work}
    if not sides and not failed:
        return
    yield "| server | requests/s | over the floor's | p50 ms | over the floor's | p99 ms | server CPU ms per call |"
    yield "|---|---|---|---|---|---|---|"
    for side in sorted(sides, key=lambda side: -results.figures[work, side].rate):
        found = results.figures[work, side]
        rate = _ratio(found.rate, results.get(work, "echo-aio", "rate"))
        p50 = _ratio(found.p50_ms, results.get(work, "echo-aio", "p50_ms"))
        cpu = "-" if found.cpu_ms is None else f"{found.cpu_ms:.2f}"
        name = f"**{side}**" if side.startswith("swath") else side
        yield f"| {name} | {found.rate:,.0f} | {rate} | {found.p50_ms:.3g} | {p50} | {found.p99_ms:.3g} | {cpu} |"
    for side, error in failed.items():
        yield f"| {side} | {one_line(error)} | | | | | |"


def _ratio(value: float, floor: float | None) -> str:
    return "-" if not floor else f"{value / floor:.2f}"


def _servers(results: Results) -> Iterator[str]:
    yield "| server | version | ready s | idle CPU % | peak memory for a 64 MiB request, times its size | |"
    yield "|---|---|---|---|---|---|"
    for name, known in results.servers.items():
        figures = [_number(known.get(key)) for key in ("ready_s", "idle_percent", "peak_ratio")]
        yield f"| {name} | {known.get('version', '')} | {' | '.join(figures)} | {known.get('note', '')} |"
    for name, reason in results.absent.items():
        yield f"| {name} | **not measured** | | | | {one_line(reason)} |"


def _number(value: Any) -> str:
    return "-" if value is None else f"{value:.3g}"


def one_line(text: str, longest: int = 400) -> str:
    """Return the end of a text as one cell of a table."""
    return " / ".join(line.strip() for line in text.strip().splitlines() if line.strip()).replace("|", "\\|")[-longest:]
