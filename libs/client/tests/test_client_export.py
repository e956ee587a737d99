"""Runs in the forms of other tools, read back by those tools' own libraries."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest

from swath.client.errors import LocalError
from swath.client.export import WRITERS, Measured, RunRecord

BEGAN = 1_750_000_000.5
MEASURED = (
    Measured("total", "train", 1, 0, 0.75),
    Measured("total", "train", 2, 0, 0.5),
    Measured("val/loss", "val", 2, 0, 0.625),
    Measured("metrics/iou", "val", 2, 0, math.nan),
    Measured("metrics/iou", "val", 4, 1, 0.25),
    Measured("lr-Adam", "train", 4, 1, math.inf),
)

_UNSTRICT = pytest.mark.filterwarnings("ignore")
"""MLflow warns of what it does itself, such as in its use of SQLAlchemy."""


@pytest.fixture
def record(tmp_path: Path) -> RunRecord:
    weights = tmp_path / "weights-of-it"
    weights.write_bytes(b"\x00\x01weights")
    return RunRecord(
        facts={"run_id": "0b1d", "experiment": "San Diego", "name": "rx", "state": "complete"},
        began=BEGAN,
        ended=BEGAN + 60,
        specification={
            "training": {"optimizer": {"lr": 0.001, "betas": [0.9, 0.99]}},
            "nodes": [{"class": "RX"}],
            "note": "x" * 600,
        },
        measured=MEASURED,
        files={"weights.pt": weights},
    )


def test_parameters_are_the_leaves_of_the_specification(record: RunRecord) -> None:
    assert record.parameters() == {
        "training.optimizer.lr": "0.001",
        "training.optimizer.betas": "[0.9, 0.99]",
        "nodes.0.class": "RX",
        "note": "x" * 600,
    }


def test_curves_say_what_they_were_measured_on() -> None:
    assert [each.curve for each in MEASURED[1:4]] == ["train/total", "val/loss", "val/metrics/iou"]


def test_csv(record: RunRecord, tmp_path: Path) -> None:
    folder = Path(WRITERS["csv"](record, str(tmp_path / "out")))
    assert folder == tmp_path / "out" / "0b1d"
    header, *rows = csv.reader((folder / "metrics.csv").read_text().splitlines())
    assert header == ["name", "split", "step", "epoch", "value"]
    read = [Measured(name, split, int(step), int(epoch), float(value)) for name, split, step, epoch, value in rows]
    assert repr(read) == repr(list(MEASURED))  # by their text: one is not a number
    _assert_rest(folder)


def test_parquet(record: RunRecord, tmp_path: Path) -> None:
    import polars as pl

    folder = Path(WRITERS["parquet"](record, str(tmp_path / "out")))
    table = pl.read_parquet(folder / "metrics.parquet")
    assert [str(kind) for kind in table.dtypes] == ["String", "String", "Int64", "Int64", "Float64"]
    assert repr([Measured(*row) for row in table.rows()]) == repr(list(MEASURED))
    _assert_rest(folder)


def _assert_rest(folder: Path) -> None:
    facts = json.loads((folder / "run.json").read_text())
    assert (facts["run_id"], facts["began"], facts["ended"]) == ("0b1d", BEGAN, BEGAN + 60)
    assert facts["specification"]["training"]["optimizer"]["lr"] == 0.001
    assert (folder / "artifacts" / "weights.pt").read_bytes() == b"\x00\x01weights"


def test_tensorboard_reads_curves_and_hyper_parameters(record: RunRecord, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import plugin_data_pb2

    WRITERS["tensorboard"](record, str(tmp_path / "out"))
    # An export replaces what an earlier one has written.
    folder = Path(WRITERS["tensorboard"](record, str(tmp_path / "out")))
    events = EventAccumulator(str(folder))
    events.Reload()
    read = {
        tag: [(each.step, each.value, each.wall_time) for each in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }
    assert read["train/total"] == [(1, 0.75, BEGAN), (2, 0.5, BEGAN)]
    assert read["val/metrics/iou"][1][:2] == (4, 0.25)
    assert math.isnan(read["val/metrics/iou"][0][1])
    assert read.keys() == {"train/total", "val/loss", "val/metrics/iou", "train/lr-Adam"}
    (content,) = (events.summary_metadata["_hparams_/session_start_info"].plugin_data.content,)
    messages: Any = plugin_data_pb2
    started = messages.HParamsPluginData.FromString(content).session_start_info
    assert started.hparams["training.optimizer.lr"].string_value == "0.001"
    assert (folder / "artifacts" / "weights.pt").read_bytes() == b"\x00\x01weights"


@_UNSTRICT
def test_mlflow_has_parameters_metrics_and_artifacts_once(record: RunRecord, tmp_path: Path, monkeypatch) -> None:
    import mlflow

    monkeypatch.chdir(tmp_path)  # where its store of artifacts is by default
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    client = mlflow.MlflowClient(tracking_uri=uri)
    experiment = client.create_experiment("San Diego")
    # An export that was cut off has left this; it is replaced.
    client.create_run(experiment, tags={"swath.run_id": "0b1d"})

    told = WRITERS["mlflow"](record, uri)

    (run,) = client.search_runs([experiment])
    assert run.info.run_id in told
    assert (run.info.run_name, run.info.status) == ("rx", "FINISHED")
    assert (run.info.start_time, run.info.end_time) == (round(1000 * BEGAN), round(1000 * BEGAN) + 60_000)
    assert run.data.params == {name: value[:500] for name, value in record.parameters().items()}
    curve = client.get_metric_history(run.info.run_id, "train/total")
    assert sorted((each.step, each.value) for each in curve) == [(1, 0.75), (2, 0.5)]
    assert [each.value for each in client.get_metric_history(run.info.run_id, "val/loss")] == [0.625]
    path = client.download_artifacts(run.info.run_id, "weights.pt", str(tmp_path))
    assert Path(path).read_bytes() == b"\x00\x01weights"

    with pytest.raises(LocalError, match="in MLflow already"):
        WRITERS["mlflow"](record, uri)
