"""Following a training run: where its stream stands, how it goes on after a cut, and what it came to."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from swath.client.config import RetryConfig
from swath.client.errors import ClientError, LocalError, UnavailableError
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.retry import Backoff

RUN_ID = "swath-run-id"
AFTER_SEQ = "swath-after-seq"
EXPERIMENT = "swath-experiment"
NAME = "swath-run-name"


def belonging(experiment: str, name: str) -> list[tuple[str, str]]:
    """Request metadata of a Train call that says what its run belongs to, and what people call it.

    Raises:
        LocalError: One has other characters than those of ASCII that can be printed.
    """
    given = [(key, text) for key, text in ((EXPERIMENT, experiment), (NAME, name)) if text]
    for key, text in given:
        if not (text.isascii() and text.isprintable()):
            raise LocalError(f"{key.removeprefix('swath-')} must have printable ASCII characters alone, got {text!r}")
    return given


class Position:
    """Where a Train stream stands, which is what it takes to go on with the run over another connection.

    The server names the run in its initial metadata (``swath-run-id``) and, where it does not start at the run's first
    message, the sequence number before the stream's first one (``swath-after-seq``). Messages are numbered without
    gaps, so counting them is enough even when the server dies without trailers.

    Args:
        retry: How long to look for the run again, and how often.
        clock: Seconds that only grow.
        run_id: The run, where it is known already.
    """

    def __init__(self, retry: RetryConfig, clock: Callable[[], float] = time.monotonic, run_id: str = "") -> None:
        self.run_id = run_id
        self.seq = 0
        self._backoff = Backoff(retry.rule(UnavailableError, timeout_s=retry.attach_s), clock)

    def metadata(self) -> list[tuple[str, str]]:
        """Request metadata of the next Train call: none at first, then run and sequence number."""
        return [(RUN_ID, self.run_id), (AFTER_SEQ, str(self.seq))] if self.run_id else []

    def opened(self, metadata: Iterable[tuple[str, str | bytes]]) -> None:
        """Take note of the initial metadata of a stream."""
        found = {str(key): value for key, value in metadata}
        self.run_id = str(found.get(RUN_ID, self.run_id))
        self.seq = int(found.get(AFTER_SEQ, self.seq))

    def received(self, seq: int | None = None) -> None:
        """Count one message, or take the number that it has."""
        self.seq = self.seq + 1 if seq is None else seq
        self._backoff.succeeded()

    def cut(self, error: ClientError, trailing: dict[str, Any]) -> float:
        """Decide on a stream that broke off.

        Returns:
            Seconds to wait before the next try.

        Raises:
            ClientError: The error itself, when the stream cannot go on.
        """
        self.run_id = str(trailing.get(RUN_ID, self.run_id))
        if not self.run_id:
            raise error
        return self._backoff.failed(error)


@dataclass
class RunSummary:
    """What a Train stream came to; feed it each message.

    Attributes:
        status: Last status, as in ``TRAIN_STATUS_COMPLETE``.
        message: Last message that had a text.
        losses: Last value of each loss.
        metrics: Last value of each metric.
        calibration: What calibrating the deciders came to, if it ran.
        evaluations: Evaluation of each split ("val", "test") after the run.
        checkpoint: The checkpoint that was restored after a gradient run, if any.
        nodes: Nodes that were fitted, in order.
    """

    status: str = "TRAIN_STATUS_UNSPECIFIED"
    message: str = ""
    losses: dict[str, float] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    calibration: pb.CalibrationOutcome | None = None
    evaluations: dict[str, pb.EvaluationOutcome] = field(default_factory=dict)
    checkpoint: pb.CheckpointRestored | None = None
    nodes: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether the run ended as it should."""
        return self.status == "TRAIN_STATUS_COMPLETE"

    def add(self, progress: pb.TrainResponse) -> None:
        """Fold one message in."""
        self.status = pb.TrainStatus.Name(progress.status)
        self.message = progress.message or self.message
        self.losses.update(progress.losses)
        self.metrics.update(progress.metrics)
        if not progress.HasField("event"):
            return
        event = progress.event
        if event.HasField("calibration"):
            self.calibration = event.calibration
        if event.HasField("evaluation"):
            split = pb.ExecutionStage.Name(event.evaluation.split).removeprefix("EXECUTION_STAGE_").lower()
            self.evaluations[split] = event.evaluation
        if event.HasField("checkpoint"):
            self.checkpoint = event.checkpoint
        if event.hook == pb.TRAIN_HOOK_STATISTICAL_NODE_END:
            self.nodes.append(event.node)

    def evaluation_lines(self) -> list[str]:
        """What the evaluations measured, a line per split; or why there are no numbers, and how to get some."""
        lines = []
        for split, evaluation in self.evaluations.items():
            numbers = "  ".join(f"{name} {value:.4f}" for name, value in sorted(evaluation.metrics.items()))
            if evaluation.status == pb.EVALUATION_STATUS_EVALUATED:
                nothing = "no metrics: no node measures anything, or the ground truth defines no number"
                lines.append(f"{split}: {numbers or nothing}")
            elif evaluation.status == pb.EVALUATION_STATUS_FAILED:
                lines.append(f"{split}: no metrics: the evaluation failed: {evaluation.error}")
        if self.evaluations and not lines:
            splits = " and no ".join(self.evaluations)
            ways = " or ".join(f"data.splits.{split}" for split in self.evaluations)
            lines.append(f"no metrics: the data has no {splits} split; name frames with ground truth under {ways}")
        return lines

    def calibration_skips(self) -> list[str]:
        """Why calibration left something out: of the phase, and of each decider; empty when it left nothing out."""
        outcome = self.calibration
        if outcome is None:
            return ["calibration did not run"]
        skips = []
        if outcome.phase_skip not in (pb.CALIBRATION_PHASE_SKIP_NONE, pb.CALIBRATION_PHASE_SKIP_UNSPECIFIED):
            skips.append(f"{pb.CalibrationPhaseSkip.Name(outcome.phase_skip)}: {outcome.phase_detail}")
        for decider in outcome.deciders:
            if decider.status != pb.DECIDER_CALIBRATION_STATUS_CALIBRATED:
                skips.append(f"{decider.name}: {pb.DeciderSkip.Name(decider.skip)} {decider.skip_detail}".strip())
        return skips
