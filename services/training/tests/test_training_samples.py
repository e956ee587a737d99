"""What runs say of single samples: a list of them, and their signals."""

from __future__ import annotations

from typing import Any

import polars as pl

from swath.samples import SampleTable, manifest, signals
from swath_training.api.requests import TrainRequest

from .conftest import GRADIENT, STATISTICAL, World, config, epoch_ended


def with_batches_of(size: int, epochs: int = 3) -> dict[str, Any]:
    changes = config(epochs=epochs)
    return {"epochs": epochs, "data": changes["data"] | {"batch_size": size}}


async def files(world: World, run_id: str, kind: str) -> list[pl.DataFrame]:
    found = await world.training._store.files.files(run_id, 0, [kind])
    read = {"samples": manifest.read, "signals": signals.read}[kind]
    tables = [read(await world.artifacts.get(each.digest)) for each in found]
    assert [table.height for table in tables] == [each.rows for each in found]
    return tables


async def test_a_run_lists_its_samples_and_every_run_over_the_data_the_same_ones(world: World) -> None:
    session = await world.fitted()
    runs = []
    for trainer in (STATISTICAL, GRADIENT):
        following = await world.service.train(TrainRequest(session.id, trainer))
        await world.ended(following.run_id)
        (listed,) = await files(world, following.run_id, "samples")
        runs.append(listed)

    first, second = runs
    assert first.equals(second)
    assert first["origin"].to_list() == ["train"] * 4 + ["val"] * 3 + ["test"] * 3
    assert [source.rpartition("/")[2] for source in first["source"]] == [f"frame{k}.npz" for k in range(10)]


async def test_frames_that_come_alone_have_losses_of_their_own(world: World) -> None:
    session = await world.fitted(**with_batches_of(1))
    following = await world.service.train(TrainRequest(session.id, GRADIENT))
    await world.ended(following.run_id)

    measured = [each async for page in world.service.metrics(following.run_id, ["total"]) for each in page]
    (listed,), told = await files(world, following.run_id, "samples"), await files(world, following.run_id, "signals")
    rows = pl.concat(told, how="diagonal").sort("step", maintain_order=True)
    of_train = rows.join(listed, on="sample_id", maintain_order="left").filter(pl.col("origin") == "train")
    curve = [(each.step, each.value) for each in measured if each.split == "train"]
    assert [(step, round(loss, 6)) for step, loss in of_train.select("step", "loss").rows()] == [
        (step, round(float(value), 6)) for step, value in curve
    ]
    assert len(curve) == 12
    # Of each epoch every sample once.
    assert of_train.group_by("epoch").agg(pl.col("sample_id").n_unique()).sort("epoch").rows() == [
        (0, 4),
        (1, 4),
        (2, 4),
    ]

    table = SampleTable(listed)
    for each in told:
        table.add_segment(each)
    last = dict(of_train.sort("step").select("sample_id", "loss").rows())
    shown = dict(table.frame.select("sample_id", "signal//loss").rows())
    assert all(abs(shown[sample] - loss) < 1e-6 for sample, loss in last.items())
    assert table.frame.filter(pl.col("signal//loss").is_not_null())["origin"].to_list() == ["train"] * 4 + ["val"] * 3


async def test_frames_that_come_together_have_the_loss_of_their_batch_by_another_name(world: World) -> None:
    session = await world.fitted()
    following = await world.service.train(TrainRequest(session.id, GRADIENT))
    await world.ended(following.run_id)
    rows = pl.concat(await files(world, following.run_id, "signals"), how="diagonal")
    assert "batch_loss" in rows.columns
    assert rows.filter(pl.col("step") == 1).filter(pl.col("batch_loss").is_not_null()).height == 2


async def test_a_killed_worker_leaves_no_signal_out(world: World) -> None:
    session = await world.fitted(**with_batches_of(1, epochs=20))
    following = await world.service.train(TrainRequest(session.id, GRADIENT))
    await world.until(following, epoch_ended(4))
    (await world.worker(following.run_id)).kill()
    await world.ended(following.run_id)

    rows = pl.concat(await files(world, following.run_id, "signals"), how="diagonal")
    once = rows.filter(pl.col("loss").is_not_null()).unique(["sample_id", "step", "loss"])
    (listed,) = await files(world, following.run_id, "samples")
    trained = once.join(listed.filter(pl.col("origin") == "train"), on="sample_id")
    # What is measured again is the same to the last bit, so a sample has one loss at each step.
    assert sorted(trained["step"].to_list()) == list(range(1, 81))
    assert (await world.training._store.get(following.run_id)).attempt == 2
