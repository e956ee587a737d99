"""A gradient run by two processes: what each of them does, and the second one as a program.

It reads cases from standard input, one JSON document a line, and takes part in each.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from swath.engine.training import Event, Group, Outcome, PeerLost, Rank, Rendezvous, RunSpec, Trainer, run

from .conftest import Frames, SnapshotList, StopAfter, fit, make_pipeline, make_run, make_training

SPLITS = {"train": 7, "val": 5, "test": 4}


class DyingFrames(Frames):
    """Frames that end the process which asks for those of an epoch."""

    def __init__(self, *args: Any, dies_in: int, **more: Any) -> None:
        super().__init__(*args, **more)
        self._dies_in = dies_in

    def loader(self, split: str, *, epoch: int, **more: Any) -> Any:
        if split == "train" and epoch == self._dies_in:
            os._exit(3)
        return super().loader(split, epoch=epoch, **more)


def spec_of(case: dict[str, Any]) -> RunSpec:
    return RunSpec(
        Trainer.GRADIENT,
        make_run(**case.get("run", {})),
        make_training(**{"devices": 2, **case.get("training", {})}),
        resolve=lambda path: Path(case["folder"]) / path,
        snapshot_every_s=0.0,
    )


def train(
    case: dict[str, Any], group: Group, frames: Frames, snapshots: SnapshotList | None = None
) -> tuple[Outcome, list[Event]]:
    """Fit statistics, each process by itself, then train together."""
    spec = spec_of(case)
    frames.batch_size = spec.trainrun.data.batch_size
    pipeline = make_pipeline()
    fit(pipeline, frames)
    events: list[Event] = []
    control = StopAfter(events, case["stop_after"]) if "stop_after" in case else None
    snapshot = Path(case["snapshot"]).read_bytes() if "snapshot" in case else None
    return run(
        spec, frames, pipeline, events.append, control, checkpointer=snapshots, snapshot=snapshot, group=group
    ), events


def main() -> None:
    for line in sys.stdin:
        case = json.loads(line)
        group = Rendezvous(Rank(1, 2, 1, 2, "127.0.0.1", case["port"])).meet(lambda: False)
        assert group is not None
        frames = DyingFrames(SPLITS, dies_in=case["dies_in"]) if "dies_in" in case else Frames(SPLITS)
        try:
            train(case, group, frames)
        except PeerLost as error:
            print(f"lost: {error}", flush=True)
            return
        print("done", flush=True)


if __name__ == "__main__":
    main()
