"""A run on an MLflow tracking server, or in its local store: parameters, metrics and artifacts."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from swath.client.data.packages import optional_module
from swath.client.errors import LocalError
from swath.client.export.files import copy_files
from swath.client.export.record import RunRecord

T = TypeVar("T")

_RUN_ID = "swath.run_id"
_MOST_METRICS, _MOST_PARAMETERS = 1000, 100
"""Of one request, as MLflow limits it."""
_LONGEST_VALUE = 500
"""Characters of a parameter that every release of MLflow takes. The whole specification is an artifact."""
_FORBIDDEN = re.compile(r"[^\w\-. /:]")
_STATES = {"complete": "FINISHED", "failed": "FAILED", "cancelled": "KILLED"}


def write_mlflow(record: RunRecord, to: str) -> str:
    """Write a run to a tracking server; return where it can be seen.

    The experiment has the name of the run's. Metrics have the run's start as their time: what counts is the step. What
    an export that was cut off has left is replaced.

    Args:
        record: The run.
        to: Tracking URI, such as "http://host:5000" or "sqlite:///mlflow.db"; as MLFLOW_TRACKING_URI says if empty.

    Raises:
        LocalError: The run is there already.
    """
    mlflow = optional_module("mlflow", extra="mlflow", purpose="exporting to MLflow")
    entities = optional_module("mlflow.entities", extra="mlflow", purpose="exporting to MLflow")
    client = mlflow.MlflowClient(tracking_uri=to or None)
    experiment_id = _experiment(client, record.facts["experiment"])
    for found in client.search_runs([experiment_id], f"tags.`{_RUN_ID}` = '{record.run_id}'"):
        if found.info.end_time is not None:
            raise LocalError(
                f"run {record.run_id} is in MLflow already, as {found.info.run_id}: delete that one to export it again"
            )
        client.delete_run(found.info.run_id)
    began = round(1000 * (record.began or 0.0))
    tags = {f"swath.{name}": value for name, value in record.facts.items()}
    run = client.create_run(experiment_id, began, tags, run_name=record.facts["name"] or record.run_id)
    run_id = run.info.run_id
    parameters = [
        entities.Param(_FORBIDDEN.sub("_", name), value[:_LONGEST_VALUE]) for name, value in record.parameters().items()
    ]
    for some in _parts(parameters, _MOST_PARAMETERS):
        client.log_batch(run_id, params=some)
    for some in _parts(record.measured, _MOST_METRICS):
        metrics = [entities.Metric(_FORBIDDEN.sub("_", each.curve), each.value, began, each.step) for each in some]
        client.log_batch(run_id, metrics=metrics)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "specification.json").write_text(json.dumps(record.specification, indent=2) + "\n")
        copy_files(record, Path(folder))
        client.log_artifacts(run_id, folder)
    ended = None if record.ended is None else round(1000 * record.ended)
    # Only now: an end says that all of it is there.
    client.set_terminated(run_id, _STATES.get(record.facts["state"], "FINISHED"), ended)
    return f"{client.tracking_uri} experiment {experiment_id} run {run_id}"


def _experiment(client: Any, name: str) -> str:
    found = client.get_experiment_by_name(name)
    return found.experiment_id if found is not None else client.create_experiment(name)


def _parts(all_of_them: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(all_of_them), size):
        yield all_of_them[start : start + size]
