"""Runs whole pipelines of the reference package."""

# pyright: reportMissingImports=false
from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cuvis_ai_core.pipeline.pipeline import CuvisPipeline
from cuvis_ai_core.training.trainers import StatisticalTrainer
from cuvis_ai_schemas.enums import ExecutionStage
from cuvis_ai_schemas.execution import Context

from tools.parity.exchange import plain, tensors


def carry_out(order: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Load each pipeline, fit it unless it has weights, and run it at each stage."""
    return [_run(entry) for entry in order]


def _run(entry: dict[str, Any]) -> dict[str, Any]:
    Path(entry["folder"]).mkdir(parents=True, exist_ok=True)
    os.chdir(entry["folder"])
    torch.manual_seed(0)
    pipeline = CuvisPipeline.load_pipeline(entry["pipeline"], entry["weights"], device="cpu")
    if entry["weights"] is None:
        StatisticalTrainer(pipeline, _Batches(tensors(entry["fit"])), emit=lambda event: None).fit()
    pipeline.torch_layers.eval()
    outputs: dict[str, Any] = {}
    with torch.no_grad():
        for stage in entry["stages"]:
            found = pipeline.forward(batch=tensors(entry["batch"]), context=Context(stage=ExecutionStage(stage)))
            outputs[stage] = {f"{node}.{port}": plain(value) for (node, port), value in found.items()}
    state = states(pipeline)
    pipeline.cleanup()
    return {"state": state, "outputs": outputs}


def states(pipeline: CuvisPipeline) -> dict[str, dict[str, np.ndarray]]:
    """Return the state of all nodes, by name and key."""
    return {
        node.name: {key: value for key, value in plain(dict(node.state_dict())).items() if np.ndim(value) is not None}
        for node in pipeline.nodes
    }


class _Batches:
    """A data module of given batches."""

    def __init__(self, batches: list[Any]) -> None:
        self._batches = batches

    def setup(self, stage: str | None = None) -> None:
        """Do nothing: the batches exist already."""

    def train_dataloader(self) -> list[Any]:
        return self._batches
