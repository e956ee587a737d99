"""What a run is to do, and the check of that before it begins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import torch

from swath.documents import CheckpointDocument, TrainingDocument, TrainRunDocument, canonical, digest
from swath.engine.data import DataModule
from swath.engine.graph.pipeline import Pipeline
from swath.engine.training import checks
from swath.engine.training.batches import Batches
from swath.engine.training.distributed.device import device_of, processes_of
from swath.engine.training.distributed.group import ALONE, Group
from swath.errors import DataInvalid, InvalidInput


class Trainer(StrEnum):
    """What a run does (TrainerType)."""

    STATISTICAL = "statistical"
    GRADIENT = "gradient"
    CALIBRATION = "calibration"


@dataclass(frozen=True)
class RunSpec:
    """What one run is to do.

    Attributes:
        trainer: What it does.
        trainrun: Loss, metric, frozen and unfrozen nodes, data, output folder.
        training: Settings of a gradient phase. Statistical runs and calibrations take the seed, the device and
            ``release_cuda_cache_on_validation`` from it, if it is given.
        post_fit: Whether calibration and evaluation follow the fit. By default they do, except after a statistical
            phase with a training configuration: then a gradient phase is to come.
        has_weights: Whether the pipeline has weights that were loaded or trained, which a calibration requires.
        resolve: Turns a path of the configuration into a real path, or refuses it.
        snapshot_every_s: Longest time between two snapshots, seconds.
    """

    trainer: Trainer
    trainrun: TrainRunDocument
    training: TrainingDocument | None = None
    post_fit: bool | None = None
    has_weights: bool = True
    resolve: Callable[[str], Path] = Path
    snapshot_every_s: float = 30.0

    @property
    def does_post_fit(self) -> bool:
        """Whether calibration and evaluation follow."""
        if self.post_fit is not None:
            return self.post_fit
        return self.trainer is not Trainer.STATISTICAL or self.training is None

    @property
    def seed(self) -> int:
        """Seed of all random numbers of the run."""
        return (self.training or TrainingDocument()).seed

    @property
    def identity(self) -> str:
        """Digest of everything that determines what the run computes."""
        training = self.training.model_dump(mode="json") if self.training else None
        content = {"trainer": self.trainer, "run": self.trainrun.model_dump(mode="json"), "training": training}
        return digest(canonical({**content, "post_fit": self.does_post_fit}))

    def check(self, pipeline: Pipeline, data: DataModule, group: Group = ALONE) -> None:
        """Refuse a run that cannot be done, before anything is done.

        Args:
            pipeline: What is trained.
            data: The frames.
            group: The processes that share the run.

        Raises:
            InvalidInput: A setting, a node's name or a split is invalid.
            DependencyMissing: This machine lacks a device.
            NotFitted: It is a calibration, and the pipeline was neither fitted nor trained.
        """
        device_of(self.training, group)
        batches = Batches(data, self.trainrun.data.batch_size, torch.device("cpu"), group)
        checks.require_measuring(self.trainrun.metric_nodes, pipeline)
        checks.refuse_unplaced(pipeline)
        if self.trainer is Trainer.CALIBRATION:
            checks.require_weights(pipeline, has_weights=self.has_weights)
            return
        if not batches.has("train"):
            raise DataInvalid(f"Training needs a train split; the data has: {', '.join(data.splits) or 'none'}")
        if self.trainer is Trainer.STATISTICAL:
            return
        if self.training is None:
            raise InvalidInput(
                "Gradient training requires a training config, in the request or in the session's trainrun"
            )
        asked = processes_of(self.training)
        if asked not in (None, group.size):
            raise InvalidInput(
                f"training.devices '{self.training.devices}' asks for {asked} processes, and the run has {group.size}"
            )
        checks.require_gradient(self.trainrun, self.training, pipeline, batches)
        self.checkpointing()

    def trainable(self, pipeline: Pipeline) -> list[torch.nn.Parameter]:
        """Unfreeze and freeze nodes, and return the parameters that gradients change.

        Raises:
            InvalidInput: There are none.
        """
        for name in self.trainrun.unfreeze_nodes:
            pipeline.nodes[name].unfreeze()
        for name in self.trainrun.freeze_nodes:
            pipeline.nodes[name].requires_grad_(False)
        parameters = [parameter for parameter in pipeline.parameters() if parameter.requires_grad]
        if not parameters:
            raise checks.nothing_to_train()
        return parameters

    def checkpointing(self) -> tuple[CheckpointDocument, Path, str | None] | None:
        """Return which checkpoints are kept, where, and by which value (None: the latest); None if there are none."""
        assert self.training is not None
        callbacks = self.training.callbacks
        if callbacks is not None and callbacks.checkpoint is not None:
            document = callbacks.checkpoint
            return document, self.resolve(document.dirpath), document.monitor
        if self.training.enable_checkpointing:
            root = self.training.default_root_dir or self.trainrun.output_dir
            return CheckpointDocument(save_top_k=1), self.resolve(f"{root}/checkpoints"), None
        return None
