"""Gradient training: optimizer, scheduler, callbacks and the loop's own settings."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, ConfigDict, Field

from swath.documents.base import Document

OPTIMIZERS = ("adam", "adamw", "sgd")
"""Names of optimizers, without regard to case."""

SCHEDULERS = ("cosine", "exponential", "plateau", "reduce_on_plateau", "step")
"""Names of schedulers, without regard to case; 'none', an empty name or no name mean no scheduler."""


class OptimizerDocument(Document):
    """What turns gradients into steps."""

    model_config = ConfigDict(title="OptimizerConfig")

    name: str = Field(
        default="adamw", description="adamw, adam or sgd", json_schema_extra={"examples": list(OPTIMIZERS)}
    )
    lr: float = Field(default=1e-3, gt=0.0, le=1.0, description="Learning rate")
    weight_decay: float = Field(default=0.0, ge=0.0, le=1.0, description="L2 penalty (adamw: decoupled decay)")
    momentum: float | None = Field(default=0.9, ge=0.0, le=1.0, description="Momentum; sgd alone uses it")
    betas: tuple[float, float] | None = Field(
        default=None, description="Decay rates of adam's and adamw's moments; (0.9, 0.999) if not given"
    )


class SchedulerDocument(Document):
    """How the learning rate changes from epoch to epoch."""

    model_config = ConfigDict(title="SchedulerConfig")

    name: str | None = Field(
        default=None,
        description="reduce_on_plateau (or plateau), cosine, step, exponential, none",
        json_schema_extra={"examples": list(SCHEDULERS)},
    )
    warmup_epochs: int = Field(default=0, ge=0, description="Epochs of linear warm-up before it; not with plateau")
    min_lr: float = Field(default=1e-6, ge=0.0, description="The learning rate never falls below it")
    t_max: int | None = Field(
        default=None, ge=1, description="cosine: epochs to the minimum; all after warm-up if not given"
    )
    step_size: int | None = Field(default=None, ge=1, description="step: epochs between two decays; 1 if not given")
    gamma: float | None = Field(
        default=None, ge=0.0, le=1.0, description="step and exponential: factor of a decay; 0.1 and 0.99 if not given"
    )
    monitor: str | None = Field(default=None, description="plateau: the value watched; val_loss if not given")
    mode: Literal["min", "max"] = Field(default="min", description="plateau: whether less or more is better")
    factor: float = Field(default=0.1, ge=0.0, le=1.0, description="plateau: factor of a reduction")
    patience: int = Field(default=10, ge=0, description="plateau: epochs without improvement before a reduction")
    threshold: float = Field(default=1e-4, ge=0.0, description="plateau: how much better counts as better")
    threshold_mode: Literal["rel", "abs"] = Field(default="rel", description="plateau: threshold relative or absolute")
    cooldown: int = Field(default=0, ge=0, description="plateau: epochs to wait after a reduction")
    eps: float = Field(default=1e-8, ge=0.0, description="plateau: smaller changes of the rate are not made")
    verbose: bool = Field(default=False, description="Log each change of the rate")


class CheckpointDocument(Document):
    """Which states of a run are kept as files."""

    model_config = ConfigDict(title="ModelCheckpointConfig")

    dirpath: str = Field(default="checkpoints", description="Folder of the checkpoints")
    filename: str | None = Field(default=None, description="Pattern of file names, such as '{epoch:02d}'")
    monitor: str = Field(default="val_loss", description="The value that decides which are best")
    mode: Literal["min", "max"] = Field(default="min", description="Whether less or more is better")
    save_top_k: int = Field(default=3, ge=-1, description="How many of the best are kept; -1 keeps all")
    every_n_epochs: int | None = Field(
        default=None, ge=1, description="Epochs between two checkpoints; each epoch if no cadence is given"
    )
    save_last: bool | Literal["link"] | None = Field(
        default=False, description="Keep the last one too ('link': a symlink)"
    )
    auto_insert_metric_name: bool = Field(default=True, description="Put 'name=' before values in file names")
    verbose: bool = Field(default=False, description="Log each checkpoint")
    save_on_exception: bool = Field(default=False, description="Keep the state at an error")
    save_weights_only: bool = Field(default=False, description="Keep weights alone, not the optimizer's state")
    every_n_train_steps: int | None = Field(default=None, description="Optimizer steps between two checkpoints")
    train_time_interval: timedelta | None = Field(
        default=None, description="Time between two checkpoints, ISO 8601 or seconds"
    )
    save_on_train_epoch_end: bool | None = Field(
        default=None, description="At the end of the training epoch rather than after validation"
    )
    enable_version_counter: bool = Field(default=True, description="Add a counter to names that are taken")


class EarlyStoppingDocument(Document):
    """When a run has learnt enough."""

    model_config = ConfigDict(title="EarlyStoppingConfig")

    monitor: str = Field(description="The value watched")
    patience: int = Field(default=10, ge=1, description="Checks without improvement before the run stops")
    mode: Literal["min", "max"] = Field(default="min", description="Whether less or more is better")
    min_delta: float = Field(default=0.0, ge=0.0, description="How much better counts as better")
    stopping_threshold: float | None = Field(default=None, description="Stop as soon as the value is this good")
    verbose: bool = Field(default=True, description="Log improvements and the stop")
    strict: bool = Field(default=True, description="A value that is never reported is an error")
    check_finite: bool = Field(default=True, description="Stop when the value is infinite or no number")
    divergence_threshold: float | None = Field(default=None, description="Stop as soon as the value is this bad")
    check_on_train_epoch_end: bool | None = Field(
        default=None, description="At the end of the training epoch rather than after validation"
    )
    log_rank_zero_only: bool = Field(default=False, description="Log in the first process alone")


class LearningRateMonitorDocument(Document):
    """How learning rates are reported."""

    model_config = ConfigDict(title="LearningRateMonitorConfig")

    logging_interval: Literal["step", "epoch"] | None = Field(default="epoch", description="Each step or each epoch")
    log_momentum: bool = Field(default=False, description="Report momentum too")
    log_weight_decay: bool = Field(default=False, description="Report weight decay too")


class CallbacksDocument(Document):
    """What happens beside the steps."""

    model_config = ConfigDict(title="CallbacksConfig")

    checkpoint: CheckpointDocument | None = Field(default=None, description="Checkpoints")
    early_stopping: list[EarlyStoppingDocument] = Field(default_factory=list, description="Reasons to stop early")
    learning_rate_monitor: LearningRateMonitorDocument | None = Field(default=None, description="Learning rates")


def _batch_limit(value: float | None) -> float | None:
    if isinstance(value, int) and value < 0:
        raise ValueError(f"an int batch limit is a batch count and must be >= 0, got {value}")
    if isinstance(value, float) and not 0.0 <= value <= 1.0:
        raise ValueError(f"a float batch limit is a fraction of the loader and must be in [0, 1], got {value}")
    return value


BatchLimit = Annotated[int | float | None, AfterValidator(_batch_limit)]


class TrainingDocument(Document):
    """Everything that a gradient phase is told."""

    model_config = ConfigDict(title="TrainingConfig")

    seed: int = Field(default=42, ge=0, description="Seed of every random number of the run")
    optimizer: OptimizerDocument = Field(default_factory=OptimizerDocument, description="Optimizer")
    scheduler: SchedulerDocument | None = Field(default=None, description="Learning rate schedule")
    callbacks: CallbacksDocument | None = Field(default=None, description="Checkpoints, early stopping, reports")
    release_cuda_cache_on_validation: bool = Field(
        default=False, description="Give cached device memory back around validation"
    )
    max_epochs: int = Field(default=100, ge=1, le=10_000, description="Epochs at most")
    accelerator: str = Field(default="auto", description="auto, cpu, gpu, cuda")
    devices: int | str | None = Field(
        default=None, description="How many devices, or which; a gradient run has a process for each"
    )
    default_root_dir: str | None = Field(default=None, description="Folder for what the run writes")
    precision: str | int = Field(
        default="32-true", description="Number format: 32-true, 16-mixed, bf16-mixed, 64-true ..."
    )
    accumulate_grad_batches: int = Field(default=1, ge=1, description="Batches whose gradients make one step")
    enable_progress_bar: bool = Field(default=True, description="Report progress batch by batch")
    enable_checkpointing: bool = Field(default=False, description="Keep checkpoints even without a checkpoint callback")
    log_every_n_steps: int = Field(default=50, ge=1, description="Steps between two reports of step values")
    val_check_interval: Annotated[float | int, Field(ge=0)] | None = Field(
        default=1.0, description="Validate every so many batches (int) or after this fraction of an epoch (float)"
    )
    check_val_every_n_epoch: int | None = Field(default=1, ge=1, description="Validate every so many epochs")
    limit_train_batches: BatchLimit = Field(
        default=None,
        description="Training batches per epoch: a count (int) or a fraction in [0, 1] (float); all if not given",
    )
    limit_val_batches: BatchLimit = Field(
        default=None, description="Validation batches: a count (int) or a fraction in [0, 1] (float); all if not given"
    )
    num_sanity_val_steps: int | None = Field(
        default=None, ge=-1, description="Validation batches tried before training; -1 all, 0 none"
    )
    gradient_clip_val: float | None = Field(default=None, ge=0.0, description="Largest norm of the gradient")
    deterministic: bool = Field(default=False, description="Refuse operations whose results vary")
    benchmark: bool = Field(default=False, description="Let cuDNN look for the fastest kernels")


def review(training: TrainingDocument) -> tuple[list[str], list[str]]:
    """Return errors and warnings about a valid document that concern several fields.

    Returns:
        Errors (names that do not exist, warm-up that cannot be) and warnings, as sentences.
    """
    errors: list[str] = []
    warnings: list[str] = []
    if training.optimizer.name.lower() not in OPTIMIZERS:
        errors.append(f"Unsupported optimizer '{training.optimizer.name}'. Supported: {', '.join(OPTIMIZERS)}")
    scheduler = training.scheduler
    name = (scheduler.name or "none").lower() if scheduler else "none"
    if scheduler is None or name == "none":
        return errors, warnings
    if name not in SCHEDULERS:
        errors.append(f"Unsupported scheduler '{scheduler.name}'. Supported: {', '.join(SCHEDULERS)}")
        return errors, warnings
    if name in ("plateau", "reduce_on_plateau"):
        if not scheduler.monitor:
            warnings.append("Plateau scheduler configured without 'monitor'; defaulting to val_loss")
        if scheduler.warmup_epochs > 0:
            errors.append(
                f"warmup_epochs is not supported with scheduler '{scheduler.name}': it steps on a monitored metric"
            )
    if scheduler.warmup_epochs >= training.max_epochs:
        errors.append(
            f"warmup_epochs ({scheduler.warmup_epochs}) must be smaller than max_epochs ({training.max_epochs})"
        )
    return errors, warnings
