"""Trains with the reference packages."""

# pyright: reportMissingImports=false
from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from cuvis_ai_core.pipeline.pipeline import CuvisPipeline
from cuvis_ai_core.training.config import TrainRunConfig, create_callbacks_from_config
from cuvis_ai_core.training.post_fit import PostFitCallback
from cuvis_ai_core.training.trainers import GradientTrainer, StatisticalTrainer
from cuvis_ai_dataloader.data.datamodule_npz_multi import MultiNpzDataModule
from cuvis_ai_schemas.enums import ExecutionStage

from tools.parity.exchange import plain, tensors
from tools.parity.reference.pipelines import states


def carry_out(order: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Train each run from the same weights, once per seed, and score the scene."""
    return [_run(entry) for entry in order]


def _run(entry: dict[str, Any]) -> dict[str, Any]:
    torch.manual_seed(0)
    initial = states(CuvisPipeline.load_pipeline(entry["pipeline"], device="cpu"))
    order = Order()
    runs = [_train(entry, initial, seed, order if seed == entry["seeds"][0] else None) for seed in entry["seeds"]]
    return {
        "initial": initial,
        "trained": runs[0][1],
        "scores": [scores for scores, _ in runs],
        "epochs": order.epochs,
    }


class Order(pl.Callback):
    """Records the frames of each batch of a gradient phase: numbers of frames, by epoch and batch."""

    def __init__(self) -> None:
        self.epochs: list[list[list[int]]] = []

    def on_train_epoch_start(self, *_: Any) -> None:
        self.epochs.append([])

    def on_train_batch_start(self, trainer: Any, module: Any, batch: dict[str, Any], *_: Any) -> None:
        self.epochs[-1].append([int(number) for number in batch["mesu_index"]])


def _train(
    entry: dict[str, Any], initial: dict[str, Any], seed: int, order: Order | None
) -> tuple[np.ndarray, dict[str, Any]]:
    folder = Path(entry["folder"]) / str(seed)
    folder.mkdir(parents=True)
    os.chdir(folder)
    run = TrainRunConfig.model_validate(entry["run"])
    pipeline = CuvisPipeline.load_pipeline(entry["pipeline"], device="cpu")
    for node in pipeline.nodes:
        torch.nn.Module.load_state_dict(node, tensors(initial[node.name]))
    pl.seed_everything(seed, workers=True, verbose=False)
    data = MultiNpzDataModule(splits=run.data.splits, batch_size=run.data.batch_size, **run.data.params)
    data.setup("fit")
    StatisticalTrainer(pipeline, data, emit=_quiet).fit()
    if run.training is not None:
        run.training.seed = seed
        _descend(pipeline, data, run, [order] if order else [])
    pipeline.torch_layers.eval()
    with torch.no_grad():
        outputs = pipeline.forward(batch=tensors(entry["batch"]), stage=ExecutionStage.INFERENCE)
    trained = states(pipeline)
    pipeline.cleanup()
    node, port = entry["scores"].split(".")
    return plain(outputs[node, port]), trained


def _descend(
    pipeline: CuvisPipeline, data: MultiNpzDataModule, run: TrainRunConfig, watching: list[pl.Callback]
) -> None:
    named = {node.name: node for node in pipeline.nodes}
    metrics = [named[name] for name in run.metric_nodes]
    pipeline.unfreeze_nodes_by_name(run.unfreeze_nodes)
    callbacks = create_callbacks_from_config(run.training.callbacks) if run.training.callbacks else []
    GradientTrainer(
        pipeline,
        data,
        [named[name] for name in run.loss_nodes],
        metrics,
        training_config=run.training,
        callbacks=[PostFitCallback(emit=_quiet, metric_nodes=metrics), *callbacks, *watching],
    ).fit()


def _quiet(event: Any) -> None:
    """Take an event of a fit."""
