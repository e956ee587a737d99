"""Curves of runs: every extreme is kept, whoever has written the rows, and however often they are read."""

from __future__ import annotations

import math
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import insert, select, update

from swath.errors import InvalidInput, NotFound
from swath.storage.sql.engine import open_engine, transaction
from swath_training.runs.database.store import RunStore
from swath_training.runs.database.tables import CURVE_PARTS, METRICS, RUNS, SCHEMA
from swath_training.runs.items import Event
from swath_training.runs.model import Run, RunState, Trainer

from .conftest import tables_in

Metrics = list[tuple[str, str, int, float | None]]
"""Name, split, step and value of each."""


class Curves:
    """A run in a database, with metrics that are written as a replica of the release before does."""

    def __init__(self, store: RunStore, run_id: str) -> None:
        self.store, self.run_id = store, run_id
        self._seq = 0

    async def add(self, metrics: Metrics, per_event: int = 2) -> None:
        rows = [
            {
                "run_id": self.run_id,
                "seq": self._seq + 1 + index // per_event,
                "number": index % per_event,
                "step": step,
                "epoch": 0,
                "split": split,
                "name": name,
                "value": value,
            }
            for index, (name, split, step, value) in enumerate(metrics)
        ]
        self._seq = rows[-1]["seq"]
        async with transaction(self.store._engine) as connection:
            await connection.execute(insert(METRICS), rows)
            await connection.execute(update(RUNS).where(RUNS.c.id == self.run_id).values(last_seq=self._seq))


@pytest.fixture
async def curves(tmp_path: Path, database: Path | str) -> AsyncIterator[Curves]:
    if isinstance(database, str):
        await tables_in(database)
    store = RunStore(open_engine(database if isinstance(database, str) else tmp_path / "runs.db", schema=SCHEMA.name))
    await store.prepare()
    digest = "sha256:" + "0" * 64
    run = Run(
        id=str(uuid.uuid4()),
        session_id=str(uuid.uuid4()),
        owner="",
        state=RunState.QUEUED,
        trainer=Trainer.GRADIENT,
        arguments_digest=digest,
        spec_digest=digest,
        pipeline_digest=digest,
        weights_digest=None,
        device="cpu",
    )
    await store.create(run, Event(0, b"x"))
    yield Curves(store, run.id)
    await store.close()


async def test_few_points_are_given_as_they_are(curves: Curves) -> None:
    await curves.add([("loss", "train", 1, 0.5), ("loss", "val", 1, 9.0), ("loss", "train", 2, None)])

    curve = await curves.store.curves.read(curves.run_id, "loss", "train")

    assert list(curve.steps) == [1, 2]
    assert curve.values[0] == 0.5
    assert math.isnan(curve.values[1])
    assert curve.count == 2


async def test_each_extreme_of_a_long_curve_is_kept_and_no_row_counts_twice(curves: Curves) -> None:
    values = np.random.default_rng(3).normal(size=40_000)
    for place, spike in ((7, 50.0), (12_345, -70.0), (39_999, 60.0)):
        values[place] = spike
    # In parts, with reads between them: what is summed up grows.
    for begin, end in ((0, 1), (1, 33), (33, 5_000), (5_000, 39_990), (39_990, 40_000)):
        await curves.add([("loss", "train", step, float(values[step])) for step in range(begin, end)])
        (summary,) = await curves.store.curves.index(curves.run_id)
        assert (summary.first_step, summary.last_step, summary.count) == (0, end - 1, end)
        assert (summary.minimum, summary.maximum) == (values[:end].min(), values[:end].max())

    curve = await curves.store.curves.read(curves.run_id, "loss", "train", max_points=1_000)

    assert 900 <= len(curve.steps) <= 1_000
    assert curve.count == 40_000
    assert list(curve.steps) == sorted(curve.steps)
    assert {7: 50.0, 12_345: -70.0, 39_999: 60.0}.items() <= dict(zip(curve.steps, curve.values, strict=True)).items()
    assert all(values[step] == value for step, value in zip(curve.steps, curve.values, strict=True))


async def test_a_range_of_steps_and_what_came_after_an_event(curves: Curves) -> None:
    await curves.add([("loss", "train", step, float(step)) for step in range(5_000)])

    near = await curves.store.curves.read(curves.run_id, "loss", "train", first_step=1_000, last_step=1_004)
    before = await curves.store.curves.read(curves.run_id, "loss", "train", max_points=10)
    await curves.add([("loss", "train", 5_000, 5.0)])
    after = await curves.store.curves.read(curves.run_id, "loss", "train", after_seq=before.last_seq)

    assert list(near.values) == [1_000, 1_001, 1_002, 1_003, 1_004]
    assert (list(after.steps), list(after.values)) == ([5_000], [5.0])
    assert len(before.steps) == 10


async def test_a_curve_that_is_not_there(curves: Curves) -> None:
    with pytest.raises(NotFound, match="it has measured nothing yet"):
        await curves.store.curves.read(curves.run_id, "loss", "train")
    await curves.add([("val_loss", "val", 1, 0.5)])
    with pytest.raises(NotFound, match=r"no curve 'val_los' of split 'val'; the nearest are val_loss \(val\)"):
        await curves.store.curves.read(curves.run_id, "val_los", "val")
    with pytest.raises(InvalidInput, match="max_points must be between 2 and 100000"):
        await curves.store.curves.read(curves.run_id, "val_loss", "val", max_points=-1)


async def test_parts_of_all_levels_stand_for_all_points(curves: Curves) -> None:
    await curves.add([("loss", "train", step, 0.0) for step in range(70_000)])
    await curves.store.curves.index(curves.run_id)

    async with transaction(curves.store._engine) as connection:
        rows = (await connection.execute(select(CURVE_PARTS.c.level, CURVE_PARTS.c.count))).all()

    assert {level: sum(count for of, count in rows if of == level) for level in range(3)} == dict.fromkeys(
        range(3), 70_000
    )
