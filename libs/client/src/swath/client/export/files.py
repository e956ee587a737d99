"""A run as a folder of files: tables as CSV or Parquet, facts and parameters as JSON."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path
from typing import Any

from swath.client.data.packages import optional_module
from swath.client.export.record import Measured, RunRecord


def write_csv(record: RunRecord, to: str) -> str:
    """Write `metrics.csv`, `run.json` and `artifacts/`; return the folder.

    Values that are infinite or not a number are written as `inf`, `-inf` and `nan`.
    """
    folder = prepared(record, to)
    with (folder / "metrics.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(Measured._fields)
        table.writerows(record.measured)
    return _rest(record, folder)


def write_parquet(record: RunRecord, to: str) -> str:
    """Write `metrics.parquet`, `run.json` and `artifacts/`; return the folder."""
    polars = optional_module("polars", extra="parquet", purpose="exporting to Parquet")
    folder = prepared(record, to)
    types = {
        "name": polars.String,
        "split": polars.String,
        "step": polars.Int64,
        "epoch": polars.Int64,
        "value": polars.Float64,
    }
    columns: dict[str, Any] = (
        dict(zip(types, zip(*record.measured, strict=True), strict=True)) if record.measured else {}
    )
    polars.DataFrame({name: columns.get(name, ()) for name in types}, schema=types).write_parquet(
        folder / "metrics.parquet"
    )
    return _rest(record, folder)


def prepared(record: RunRecord, to: str) -> Path:
    """Return the folder of a run, made if it is not there: `TO/RUN`."""
    folder = Path(to or ".") / record.run_id
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _rest(record: RunRecord, folder: Path) -> str:
    facts = {**record.facts, "began": record.began, "ended": record.ended, "specification": record.specification}
    (folder / "run.json").write_text(json.dumps(facts, indent=2) + "\n")
    copy_files(record, folder / "artifacts")
    return str(folder)


def copy_files(record: RunRecord, folder: Path) -> None:
    """Copy a run's files into a folder, below their names."""
    for name, path in record.files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
