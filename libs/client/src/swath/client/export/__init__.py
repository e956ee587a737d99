"""Runs in the forms of other tools: `swath export`."""

from __future__ import annotations

from swath.client.export.files import write_csv, write_parquet
from swath.client.export.mlflow import write_mlflow
from swath.client.export.record import Measured, RunRecord
from swath.client.export.tensorboard import write_tensorboard

WRITERS = {"csv": write_csv, "mlflow": write_mlflow, "parquet": write_parquet, "tensorboard": write_tensorboard}
"""What writes a run to a place, by the names that people use."""

__all__ = ["WRITERS", "Measured", "RunRecord"]
