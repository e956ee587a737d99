"""The statistical fit of RX against one float64 covariance of the same data."""

from __future__ import annotations

import torch
from torch import Tensor

from benchmarks.harness import InMemory, Row, interleaved, ratio_row
from swath.documents import parse
from swath.engine.graph.pipeline import Pipeline
from swath.engine.training import RunSpec, Trainer, run

FRAMES, SIDE, CHANNELS = 16, 128, 189


def measure() -> list[Row]:
    torch.manual_seed(0)
    batches = [{"data": torch.randn(1, SIDE, SIDE, CHANNELS) + 3} for _ in range(FRAMES)]
    node = {"name": "rx", "class_name": "RXGlobal", "hparams": {"num_channels": CHANNELS, "cache_inverse": False}}
    document = parse("pipeline", {"nodes": [node]})
    config = parse("trainrun", {"name": "rx", "data": {"data_module": "scene"}})

    def fit() -> None:
        spec = RunSpec(Trainer.STATISTICAL, config, None)
        run(spec, InMemory(batches, 1), Pipeline.from_document(document), lambda event: None)

    def floor() -> Tensor:
        rows = torch.cat([batch["data"].reshape(-1, CHANNELS) for batch in batches]).to(torch.float64)
        centred = rows - rows.mean(0)
        return centred.T @ centred / (len(rows) - 1)

    fitted, covariance = interleaved(fit, floor, runs=7, warm_up=1)
    detail = f"{fitted * 1e3:.0f} ms against {covariance * 1e3:.0f} ms, {FRAMES * SIDE * SIDE} pixels"
    return [ratio_row("statistical fit of RX", fitted / covariance, 1.3, detail)]
