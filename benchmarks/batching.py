"""Calls of many sessions to one model, computed together against one by one: within the service, without gRPC.

Rounds of both are run in turn, and ratios are medians over them. Torch has one thread, so that both have the same.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml

from benchmarks.harness import Row, ratio_row
from swath.documents import PipelineDocument, canonical, parse
from swath.engine.graph import weights
from swath.engine.graph.pipeline import Pipeline
from swath.sessions.model import Session
from swath.storage import ArtifactStore, FolderObjects, Workspace
from swath_inference import InferenceService, InferenceSettings

_ROUNDS = 7
_SECONDS = 1.0
_AWAY_S = 300e-6
"""What a client of its own takes between an answer and the next call."""

_MLP = Path(__file__).resolve().parents[1] / "configs" / "pipeline" / "san_diego" / "deep_svdd.yaml"
"""Deep SVDD, and what comes before and after it; with the linear kernel here, which leaves a network of two layers."""

_BANDS = 189


def measure() -> list[Row]:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="swath-bench-") as folder:
        return asyncio.run(_measure(Path(folder)))


@dataclass(frozen=True)
class _Round:
    """One round: calls per second, median seconds of a call, CPU seconds of a call."""

    rate: float
    median: float
    cpu: float


class _Sessions:
    """Sessions in memory, all of one pipeline: what is measured is what comes after the look-up."""

    def __init__(self, pipeline: str, state: str) -> None:
        self._digests = pipeline, state

    async def get(self, session_id: str) -> Session:
        return Session(session_id, "", 1, (), *self._digests, None, ())


async def _measure(folder: Path) -> list[Row]:
    small = {"scores": torch.rand(1, 16, 1, 1)}
    affine = parse("pipeline", {"nodes": [{"name": "node", "class_name": "ScoreToLogit"}], "connections": []})
    written = yaml.safe_load(_MLP.read_text())
    next(node for node in written["nodes"] if node["name"] == "projection")["hparams"]["kernel"] = "linear"
    network = parse("pipeline", written)
    labelled = _pixels(64) | {"mask": torch.zeros(1, 64, 64, dtype=torch.int32)}
    mlp = await _compare(folder / "mlp", _fitted(network, labelled), _pixels(8), callers=64)
    learnt = _fitted(affine, small)
    one = await _compare(folder / "one", learnt, small, callers=1, pause=_AWAY_S)
    many = await _compare(folder / "many", learnt, small, callers=64)
    return [
        *_rate_rows("network of san_diego/deep_svdd, 64 pixels of 189 bands a call, 64 callers", mlp, at_least=3.0),
        *_rate_rows("affine model [1, 16], 64 callers", many, at_least=1.0),
        ratio_row(
            "affine model [1, 16], 1 caller: CPU time a call, with batches against without",
            _least(one[0]) / _least(one[1]),
            1.03,
            f"{_least(one[0]) * 1e6:.0f} against {_least(one[1]) * 1e6:.0f} us",
        ),
    ]


_Rounds = tuple[list[_Round], list[_Round]]


def _rate_rows(name: str, rounds: _Rounds, *, at_least: float) -> list[Row]:
    rate, (together, alone) = _ratio(rounds, "rate"), rounds
    rates = f"{_median(together, 'rate'):.0f} against {_median(alone, 'rate'):.0f} calls/s"
    medians = f"{_median(together, 'median') * 1e3:.1f} against {_median(alone, 'median') * 1e3:.1f} ms"
    return [
        Row(
            f"{name}: calls/s together against alone", f"{rate:.2f}x  ({rates})", f">= {at_least:g}x", rate >= at_least
        ),
        ratio_row(f"{name}: p50 together", _ratio(rounds, "median"), 1.0, medians),
    ]


def _ratio(rounds: _Rounds, what: str) -> float:
    return statistics.median(getattr(one, what) / getattr(other, what) for one, other in zip(*rounds, strict=True))


def _median(rounds: Sequence[_Round], what: str) -> float:
    return statistics.median(getattr(each, what) for each in rounds)


def _least(rounds: Sequence[_Round]) -> float:
    """Return the CPU seconds of a call in the round that was disturbed the least."""
    return min(each.cpu for each in rounds)


def _pixels(side: int) -> dict[str, torch.Tensor]:
    """Return a square cube of pixels of 189 bands."""
    cube = torch.rand(1, side, side, _BANDS) * 3000
    wavelengths = torch.linspace(400, 2400, _BANDS).to(torch.int32).reshape(1, -1)
    return {"cube": cube, "wavelengths": wavelengths}


def _fitted(document: PipelineDocument, batch: dict[str, torch.Tensor]) -> Pipeline:
    pipeline = Pipeline.from_document(document)
    for wave in pipeline.fit_waves():
        fed = pipeline.inputs_of(wave, batch)
        for name in wave:
            node: Any = pipeline.nodes[name]
            node.begin_fit()
            node.fit_batch(fed[name])
            node.end_fit()
    return pipeline


async def _compare(
    folder: Path, pipeline: Pipeline, batch: dict[str, Any], *, callers: int, pause: float = 0.0
) -> _Rounds:
    """Return rounds with batches and without, that were run in turn."""
    (folder / "configs").mkdir(parents=True)
    artifacts = ArtifactStore(FolderObjects(folder / "artifacts"))
    workspace = Workspace(folder / "workspace", folder / "configs")
    digests = artifacts.put_sync(canonical(pipeline.document())), artifacts.put_sync(weights.dump(pipeline.state()))
    sessions: Any = _Sessions(*digests)
    services = [
        InferenceService(InferenceSettings(device="cpu", batch_calls=calls), sessions, artifacts, workspace)
        for calls in (64, 1)
    ]
    rounds: _Rounds = ([], [])
    for service in services:
        await service.warm_up()
        await _round(service, batch, callers, pause)
    for _ in range(_ROUNDS):
        for service, results in zip(services, rounds, strict=True):
            results.append(await _round(service, batch, callers, pause))
    for service in services:
        service.close()
    return rounds


async def _round(service: InferenceService, batch: dict[str, Any], callers: int, pause: float) -> _Round:
    lasted: list[float] = []
    end = time.perf_counter() + _SECONDS

    async def call(caller: int) -> None:
        while (began := time.perf_counter()) < end:
            await service.infer(f"session-{caller}", lambda: batch, [], lambda outputs: outputs, size=0)
            lasted.append(time.perf_counter() - began)
            await asyncio.sleep(pause)

    began, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(call(caller) for caller in range(callers)))
    spent = time.process_time() - cpu
    return _Round(len(lasted) / (time.perf_counter() - began), statistics.median(lasted), spent / len(lasted))
