"""The gradient loop against the same training written by hand."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import relu, softplus

from benchmarks.harness import InMemory, Row, interleaved, ratio_row
from swath.documents import parse
from swath.engine.graph.pipeline import Pipeline
from swath.engine.training import RunSpec, Trainer, run
from swath.engine.training.control import SampleSignals

BATCHES, FRAMES, SIDE, CHANNELS = 12, 4, 64, 61
HIDDEN, REPRESENTATION, NU, RATE, EPOCHS = 128, 32, 0.05, 1e-3, 3

_PIPELINE = {
    "nodes": [
        {
            "name": "projection",
            "class_name": "DeepSVDDProjection",
            "hparams": {"in_channels": CHANNELS, "rep_dim": REPRESENTATION, "hidden": HIDDEN},
        },
        {"name": "loss", "class_name": "DeepSVDDSoftBoundaryLoss", "hparams": {"nu": NU}},
    ],
    "connections": [{"source": "projection.outputs.embeddings", "target": "loss.inputs.embeddings"}],
}
_RUN = {
    "name": "bench",
    "data": {"data_module": "memory", "batch_size": FRAMES},
    "loss_nodes": ["loss"],
    "training": {"max_epochs": EPOCHS, "accelerator": "cpu", "optimizer": {"name": "adamw", "lr": RATE}},
}


def train(data: InMemory, signals: SampleSignals | None = None) -> None:
    """Train Deep SVDD for EPOCHS epochs on the CPU."""
    config = parse("trainrun", _RUN)
    spec = RunSpec(Trainer.GRADIENT, config, config.training)
    run(spec, data, Pipeline.from_document(parse("pipeline", _PIPELINE)), lambda event: None, signals=signals)


def batches() -> list[dict[str, Any]]:
    """Return BATCHES batches for it."""
    torch.manual_seed(0)
    centre = torch.randn(REPRESENTATION)
    return [{"data": torch.rand(FRAMES, SIDE, SIDE, CHANNELS), "center": centre} for _ in range(BATCHES)]


def measure() -> list[Row]:
    made = batches()

    def ours() -> None:
        train(InMemory(made, FRAMES))

    def by_hand() -> None:
        projection = torch.nn.Sequential(
            torch.nn.Linear(CHANNELS, HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, REPRESENTATION, bias=False)
        )
        radius = torch.nn.Parameter(torch.zeros(()))
        optimizer = torch.optim.AdamW([*projection.parameters(), radius], lr=RATE, weight_decay=0)
        for _ in range(EPOCHS):
            for batch in made:
                distances = (projection(batch["data"]) - batch["center"]).square().sum(-1)
                squared = softplus(radius, beta=10) ** 2
                loss = squared + relu(distances - squared).mean() / NU
                loss.backward()
                optimizer.step()
                optimizer.zero_grad()
                loss.item()

    loop, floor = interleaved(ours, by_hand, runs=7, warm_up=1)
    count = EPOCHS * BATCHES
    detail = f"{loop / count * 1e3:.1f} ms against {floor / count * 1e3:.1f} ms per batch"
    return [ratio_row("gradient loop, batches [4, 64, 64, 61]", loop / floor, 1.05, detail)]
