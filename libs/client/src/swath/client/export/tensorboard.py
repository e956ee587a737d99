"""A run as a folder that TensorBoard reads: curves, hyper-parameters, and the files beside them."""

from __future__ import annotations

from typing import Any

from swath.client.data.packages import optional_module
from swath.client.export.files import copy_files, prepared
from swath.client.export.record import RunRecord


def write_tensorboard(record: RunRecord, to: str) -> str:
    """Write a folder of the run for ``tensorboard --logdir``; return it.

    TensorBoard keeps values as float32. Curves have the run's start as their time: what counts is the step. What an
    earlier export has written there is replaced.
    """

    def module(name: str) -> Any:
        return optional_module(f"tensorboard.{name}", extra="tensorboard", purpose="exporting to TensorBoard")

    events = module("compat.proto.event_pb2")
    summaries = module("compat.proto.summary_pb2")
    hparams = module("plugins.hparams.summary_v2")
    writer_of = module("summary.writer.event_file_writer").EventFileWriter
    folder = prepared(record, to)
    for old in folder.glob("events.out.tfevents.*"):
        old.unlink()
    writer = writer_of(str(folder))
    time = record.began or 0.0
    try:
        summary = hparams.hparams_pb(record.parameters(), trial_id=record.run_id, start_time_secs=time)
        writer.add_event(events.Event(wall_time=time, summary=summary))
        for each in record.measured:
            value = summaries.Summary.Value(tag=each.curve, simple_value=each.value)
            writer.add_event(events.Event(wall_time=time, step=each.step, summary=summaries.Summary(value=[value])))
    finally:
        writer.close()
    copy_files(record, folder / "artifacts")
    return str(folder)
