"""Events and log lines of a gradient phase."""

from __future__ import annotations

import logging

from swath.documents import TrainingDocument
from swath.engine.graph.ports import Stage
from swath.engine.training.reporting.events import EpochProgress, FrameProgress, Hook, Lifecycle, Position
from swath.engine.training.reporting.stream import EventStream
from swath.engine.training.reporting.values import Values

log = logging.getLogger(__name__)

_MESSAGE = "Gradient training"


class Reports:
    """Emits the events and log lines of a gradient phase.

    Args:
        training: Its settings.
        stream: Takes the events.
        values: Measured values.
        frames: Frames per training epoch; 0 if a limit makes the number unknown.
    """

    def __init__(self, training: TrainingDocument, stream: EventStream, values: Values, frames: int) -> None:
        self._training, self._stream, self._values, self._frames = training, stream, values, frames

    def epochs(self, epoch: int) -> EpochProgress:
        """Return the progress in epochs during an epoch (0-based)."""
        return EpochProgress(epoch + 1, self._training.max_epochs)

    def fit_start(self, *, calibration_pending: bool) -> None:
        """Report the begin of the phase."""
        event = Lifecycle(Hook.FIT_START, calibration_pending=calibration_pending, epochs=self.epochs(0))
        self._stream.send(Position(), event, message=_MESSAGE)

    def epoch_start(self, at: Position) -> None:
        """Report the begin of an epoch."""
        progress = FrameProgress(0, self._frames)
        self._stream.send(at, Lifecycle(Hook.EPOCH_START, epochs=self.epochs(at.epoch), progress=progress))

    def batch(self, at: Position, done: int, *, log_line: bool) -> None:
        """Report a training batch, after which `done` frames of the epoch are done."""
        loss = self._values.batch_loss
        progress = FrameProgress(done, self._frames)
        self._stream.send(
            at,
            Lifecycle(Hook.TRAIN_PROGRESS, epochs=self.epochs(at.epoch), progress=progress),
            losses={"total": loss},
            metrics=self._values.metrics(Stage.TRAIN),
        )
        if log_line and self._training.enable_progress_bar:
            total = self._training.max_epochs
            log.info("epoch %d/%d, step %d: loss %.6g", at.epoch + 1, total, at.global_step, loss)

    def validation_end(self, at: Position) -> None:
        """Report the end of a validation."""
        self._stream.send(
            at,
            Lifecycle(Hook.VALIDATION_END, split=Stage.VAL, epochs=self.epochs(at.epoch)),
            losses=self._values.losses(),
            metrics=self._values.metrics(Stage.VAL),
            message=_MESSAGE,
        )

    def epoch_end(self, at: Position, invalid: int) -> None:
        """Report the end of an epoch, and how many invalid pixels its losses left out."""
        words = f"{invalid} invalid pixels (a band is not finite) left out of epoch {at.epoch + 1}"
        left_out = words if invalid else ""
        if left_out:
            log.info("%s", left_out)
        self._stream.send(
            at,
            Lifecycle(Hook.EPOCH_END, epochs=self.epochs(at.epoch)),
            losses=self._values.losses(),
            metrics=self._values.metrics(Stage.TRAIN),
            message=f"{_MESSAGE}; {left_out}" if left_out else _MESSAGE,
        )

    def fit_end(self, at: Position, completed: int) -> None:
        """Report the end of the phase; after an early stop fewer epochs are completed than the maximum."""
        event = Lifecycle(Hook.FIT_END, epochs=EpochProgress(completed, self._training.max_epochs))
        self._stream.send(at, event, message=_MESSAGE)
