"""The cadence of a gradient phase: limits of batches, and when it validates."""

from __future__ import annotations

from typing import NamedTuple

from swath.documents import TrainingDocument
from swath.engine.training.batches import Batches
from swath.errors import InvalidInput


class Cadence(NamedTuple):
    """The cadence of a gradient phase.

    Attributes:
        train_batches: Training batches per epoch.
        val_batches: Batches per validation; 0 without validation.
        validate_every: Training batches between two validations.
        across_epochs: Whether these are counted across epochs.
        epochs_between: Epochs between two epochs with validation.
        sanity_batches: Validation batches of the sanity check before training.
    """

    train_batches: int
    val_batches: int
    validate_every: int
    across_epochs: bool
    epochs_between: int
    sanity_batches: int

    def validates(self, epoch: int, done: int) -> bool:
        """Whether a validation follows when `done` batches of an epoch (0-based) are done."""
        if not self.val_batches:
            return False
        if self.across_epochs:
            return (epoch * self.train_batches + done) % self.validate_every == 0
        return (epoch + 1) % self.epochs_between == 0 and done % self.validate_every == 0


def cadence(training: TrainingDocument, batches: Batches) -> Cadence:
    """Work out the batches of a gradient phase.

    Raises:
        InvalidInput: A limit leaves no batch, or the validation interval is longer than an epoch.
    """
    train = batches.count("train", training.limit_train_batches)
    if not train:
        raise InvalidInput(f"training.limit_train_batches {training.limit_train_batches} leaves no batch to train with")
    limit = training.limit_val_batches
    val = batches.count("val", limit) if batches.has("val") else 0
    if not val and limit and batches.has("val"):
        raise InvalidInput(
            f"training.limit_val_batches {limit} leaves no batch to validate with; 0 means no validation"
        )
    sanity = 2 if training.num_sanity_val_steps is None else training.num_sanity_val_steps
    return Cadence(
        train_batches=train,
        val_batches=val,
        validate_every=_validate_every(training, train),
        across_epochs=training.check_val_every_n_epoch is None,
        epochs_between=training.check_val_every_n_epoch or 1,
        sanity_batches=val if sanity == -1 else min(sanity, val),
    )


def _validate_every(training: TrainingDocument, train: int) -> int:
    interval = 1.0 if training.val_check_interval is None else training.val_check_interval
    if isinstance(interval, int):
        if interval < 1:
            raise InvalidInput("training.val_check_interval must be at least 1 batch, got 0")
        if interval > train and training.check_val_every_n_epoch is not None:
            raise InvalidInput(
                f"training.val_check_interval {interval} is more than the {train} batches of an epoch; with "
                "check_val_every_n_epoch null it counts across epochs"
            )
        return interval
    if interval > 1.0:
        raise InvalidInput(
            f"training.val_check_interval {interval} is more than an epoch (1.0); give an int to count batches"
        )
    return max(1, int(train * interval))


def takes_all(limit: float | None) -> bool:
    """Whether a limit or an interval means a whole epoch: None, or the fraction 1.0 (not the count 1)."""
    return limit is None or (isinstance(limit, float) and limit >= 1.0)
