"""What a gradient phase tells of itself."""

from __future__ import annotations

import logging

from swath.documents import TrainingDocument
from swath.engine.graph.ports import Stage
from swath.engine.training.reporting.events import EpochProgress, FrameProgress, Hook, Lifecycle, Position
from swath.engine.training.reporting.stream import EventStream
from swath.engine.training.reporting.values import Values

log = logging.getLogger(__name__)

_WORDS = "Gradient training"


class Reports:
    """Makes the events of a gradient phase, and the lines of its log.

    Args:
        training: Its settings.
        stream: Takes the events.
        values: What it has measured.
        frames: Frames of a training epoch; 0 where a limit leaves the number open.
    """

    def __init__(self, training: TrainingDocument, stream: EventStream, values: Values, frames: int) -> None:
        self._training, self._stream, self._values, self._frames = training, stream, values, frames

    def epochs(self, epoch: int) -> EpochProgress:
        """Return the count of epochs while one (0-based) is under way."""
        return EpochProgress(epoch + 1, self._training.max_epochs)

    def fit_start(self, *, calibration_pending: bool) -> None:
        """The phase begins."""
        event = Lifecycle(Hook.FIT_START, calibration_pending=calibration_pending, epochs=self.epochs(0))
        self._stream.send(Position(), event, message=_WORDS)

    def epoch_start(self, at: Position) -> None:
        """An epoch begins."""
        progress = FrameProgress(0, self._frames)
        self._stream.send(at, Lifecycle(Hook.EPOCH_START, epochs=self.epochs(at.epoch), progress=progress))

    def batch(self, at: Position, done: int, *, log_line: bool) -> None:
        """A training batch is done, the frame number `done` of its epoch the last."""
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
        """A validation is done."""
        self._stream.send(
            at,
            Lifecycle(Hook.VALIDATION_END, split=Stage.VAL, epochs=self.epochs(at.epoch)),
            losses=self._values.losses(),
            metrics=self._values.metrics(Stage.VAL),
            message=_WORDS,
        )

    def epoch_end(self, at: Position) -> None:
        """An epoch is done."""
        self._stream.send(
            at,
            Lifecycle(Hook.EPOCH_END, epochs=self.epochs(at.epoch)),
            losses=self._values.losses(),
            metrics=self._values.metrics(Stage.TRAIN),
            message=_WORDS,
        )

    def fit_end(self, at: Position, completed: int) -> None:
        """The phase is done; an early stop leaves fewer epochs completed than there might have been."""
        event = Lifecycle(Hook.FIT_END, epochs=EpochProgress(completed, self._training.max_epochs))
        self._stream.send(at, event, message=_WORDS)
