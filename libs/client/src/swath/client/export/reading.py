"""A run as the server has it, for an export."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from swath.client.errors import NotFoundError
from swath.client.export.record import Measured, RunRecord
from swath.training.v1 import runs_pb2 as pb

_FILES = {"pipeline": "pipeline.json", "weights": "weights.pt"}


def read_run(client: Any, run: str, folder: Path) -> RunRecord:
    """Read a run whole.

    Args:
        client: A `swath.client.Client`.
        run: The run's id, or its first characters.
        folder: Where its pipeline and weights are written; what there is not is left out.

    Raises:
        NotFoundError: There is no such run.
    """
    found = client.runs.get(run)
    files = {}
    for artifact, name in _FILES.items():
        path = folder / name
        try:
            with path.open("wb") as file:
                for part in client.runs.artifact(found.run_id, artifact):
                    file.write(part)
        except NotFoundError:
            continue  # a run that is not over has no weights yet
        files[name] = path
    return RunRecord(
        facts={
            "run_id": found.run_id,
            "experiment": found.experiment,
            "name": found.name,
            "session_id": found.session_id,
            "state": pb.RunState.Name(found.state).removeprefix("RUN_STATE_").lower(),
            "device": found.device,
            "hash": found.hash,
        },
        began=_seconds(found, "started_at"),
        ended=_seconds(found, "finished_at"),
        specification=json.loads(b"".join(client.runs.artifact(found.run_id, "specification"))),
        measured=[
            Measured(each.name, each.split, each.step, each.epoch, each.value)
            for each in client.runs.metrics(found.run_id)
        ],
        files=files,
    )


def _seconds(run: pb.Run, name: str) -> float | None:
    if not run.HasField(name):  # pyright: ignore[reportArgumentType]
        return None
    time = getattr(run, name)
    return time.seconds + time.nanos / 1e9
