"""All samples of an experiment in one table: signals, edits, views, histograms."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from swath.errors import DataInvalid
from swath.samples import Edits, Sample, SampleTable, Tag, manifest, parse, signals
from swath.samples.histograms import Bar, Share, bars, bins, summary


def tile(number: int, origin: str = "train", **more: object) -> Sample:
    return Sample(origin, "scenes/san_diego.npz", 0, 16 * number, 0, 16, 16, **more)  # type: ignore[arg-type]


SAMPLES = [
    tile(0, pixels=256, anomalous=3, classes=(0, 1)),
    tile(1),
    tile(2, "val"),
    tile(3, "val", metadata={"sun": 41.5}),
]
IDS = [sample.id for sample in SAMPLES]


@pytest.fixture
def table() -> SampleTable:
    return SampleTable(manifest.read(manifest.write(SAMPLES)))


def segment(*rows: tuple[int, int, dict[str, float]]) -> pl.DataFrame:
    writer = signals.SegmentWriter()
    for number, step, values in rows:
        writer.add(IDS[number], step, 0, values)
    return signals.read(writer.take())


def shown(table: SampleTable, text: str | None = None) -> list[int]:
    return table.view(None if text is None else parse(text)).tolist()


def test_a_sample_keeps_its_id_in_every_run() -> None:
    # sha256 of "scenes/san_diego.npz\0" "0\0" "16\0" "0\0" "16\0" "16", its first 16 digits, by sha256sum.
    assert IDS[1] == "13db352703a76922"
    assert len(set(IDS)) == 4


def test_a_manifest_is_read_as_it_was_written(table: SampleTable) -> None:
    first = table.frame.row(0, named=True)
    assert (first["sample_id"], first["origin"], first["x"], first["width"]) == (IDS[0], "train", 0, 16)
    assert (first["pixels"], first["anomalous"], first["classes"], first["sun"]) == (256, 3, "0 1", None)
    assert table.frame["sun"].to_list() == [None, None, None, 41.5]
    assert len(SampleTable(manifest.read(manifest.write([])))) == 0


@pytest.mark.parametrize("data", [b"", b"PAR1 nonsense", manifest.to_parquet(pl.DataFrame({"a": [1]}))])
def test_what_is_no_manifest_is_refused(data: bytes) -> None:
    with pytest.raises(DataInvalid, match="a manifest of samples: expected"):
        manifest.read(data)
    with pytest.raises(DataInvalid, match="a segment of signals: expected"):
        signals.read(data)


def test_two_samples_of_one_place_are_refused() -> None:
    with pytest.raises(DataInvalid, match=r"san_diego.npz, frame 0, rectangle at \(0, 0\)"):
        manifest.write([tile(0), tile(0, "val")])


def test_the_value_of_the_latest_step_counts_whatever_comes_first(table: SampleTable) -> None:
    table.add_segment(segment((0, 5, {"loss": 0.5}), (1, 5, {"loss": 0.25, "score": 9.0}), (0, 7, {"loss": 0.125})))
    table.add_segment(segment((1, 2, {"loss": 8.0}), (2, 2, {"loss": float("nan")})))
    assert table.frame["signal//loss"].to_list() == [0.125, 0.25, None, None]
    assert table.frame["signal//score"].to_list() == [None, 9.0, None, None]


def test_signals_of_samples_that_are_not_there_are_passed_over(table: SampleTable) -> None:
    writer = signals.SegmentWriter()
    writer.add("elsewhere", 1, 0, {"loss": 1.0})
    writer.add(IDS[3], 1, 0, {"loss": 2.0})
    table.add_segment(signals.read(writer.take()))
    assert table.frame["signal//loss"].to_list() == [None, None, None, 2.0]
    assert len(writer) == 0


def test_samples_of_a_later_run_come_behind(table: SampleTable) -> None:
    table.add_segment(segment((0, 1, {"loss": 0.5})))
    table.extend(manifest.read(manifest.write([SAMPLES[1], tile(9, "test")])))
    assert table.frame["origin"].to_list() == ["train", "train", "val", "val", "test"]
    assert table.row(tile(9).id) == 4
    late = signals.SegmentWriter()
    late.add(tile(9).id, 2, 0, {"loss": 4.0})
    table.add_segment(signals.read(late.take()))
    assert table.frame["signal//loss"].to_list() == [0.5, None, None, None, 4.0]


def test_edits_are_columns_and_those_before_go(table: SampleTable) -> None:
    kind = Tag("kind", ("roof", "road"), {IDS[1]: "road"})
    cloud = Tag("cloud", members={IDS[0]: True, "elsewhere": True})
    table.apply(Edits({"cloud": cloud, "kind": kind}, {IDS[3]}, {"loss_1@abc": {IDS[2]: 0.5}}))
    assert table.frame["tag:cloud"].to_list() == [True, False, False, False]
    assert table.frame["tag:kind"].to_list() == [None, "road", None, None]
    assert table.frame["loss_1@abc"].to_list() == [None, None, 0.5, None]
    assert shown(table, "`tag:kind` == 'road' or discarded") == [1, 3]
    counts = table.counts(table.view(parse("origin == 'val'")))
    assert (counts.total, counts.view, counts.discarded, counts.in_loop) == (4, 2, 1, 3)

    table.apply(Edits())
    assert table.frame["discarded"].to_list() == [False] * 4
    assert not [name for name in table.columns if name.startswith("tag:") or "@" in name]


def test_views_filter_sort_and_end(table: SampleTable) -> None:
    table.add_segment(segment(*((number, 1, {"loss": value}) for number, value in enumerate((0.5, 2.0, 1.0)))))
    assert shown(table) == [0, 1, 2, 3]
    # What is missing comes last, whichever way.
    assert shown(table, "sortby `signal//loss`") == [0, 2, 1, 3]
    assert shown(table, "sortby `signal//loss` desc") == [1, 2, 0, 3]
    assert shown(table, "sortby origin desc, index desc") == [3, 2, 1, 0]
    assert shown(table, "`signal//loss` > 0.6 sortby `signal//loss` head 1") == [2]
    # Samples that are equal keep their order.
    assert shown(table, "sortby origin desc") == [2, 3, 0, 1]
    within = table.view(parse("index > 0"))
    assert table.view(parse("sortby index desc scope:view start:1 count:2"), within).tolist() == [1, 3, 2]
    assert table.rows(within[:1])["sample_id"].to_list() == [IDS[1]]


def test_numbers_are_cut_by_the_order_of_rows_and_labels_are_counted(table: SampleTable) -> None:
    table.add_segment(segment((0, 1, {"loss": 1.0}), (1, 1, {"loss": 3.0}), (3, 1, {"loss": 8.0})))
    table.apply(Edits(discarded={IDS[1]}))
    first, second = bins(table.frame, "signal//loss", 2)
    assert (first.low, first.high, first.mean, first.count) == (1.0, 3.0, 2.0, 2)
    assert first.shares == (Share("train", False, 1), Share("train", True, 1))
    assert (second.low, second.high, second.mean, second.count) == (8.0, 8.0, 8.0, 1)
    assert bars(table.frame, "origin") == [
        Bar("train", 2, (Share("train", False, 1), Share("train", True, 1))),
        Bar("val", 2, (Share("val", False, 2),)),
    ]
    assert "4 samples" in summary(table.frame)
    assert "signal//loss: 1 to 8, median 3, 1 missing" in summary(table.frame)


def test_rare_labels_are_one_bar() -> None:
    many = SampleTable(manifest.read(manifest.write([tile(k, f"o{k % 250:03}") for k in range(500)])))
    found = bars(many.frame, "origin")
    assert len(found) == 200
    assert found[-1].label == "(others)"
    assert sum(bar.count for bar in found) == 500


def test_trajectories_keep_their_ends_and_steps_have_their_samples() -> None:
    one = segment(*((0, step, {"loss": float(step)}) for step in range(50)), (1, 3, {"loss": 30.0}))
    two = segment(*((0, step, {"loss": float(step)}) for step in range(50, 100)), (2, 60, {"other": 1.0}))
    found = signals.trajectories([one, two], "loss", [IDS[0], IDS[2]], 5)
    steps, values = found[IDS[0]]
    assert list(found) == [IDS[0]]
    assert steps.tolist() == [0, 25, 50, 74, 99]
    np.testing.assert_array_equal(values, steps.astype(np.float32))
    assert sorted(signals.at_step([one, two], "loss", 3).rows()) == sorted([(IDS[0], 3.0), (IDS[1], 30.0)])
    assert signals.at_step([one], "absent", 3).height == 0
    assert signals.trajectories([one], "absent", IDS, 5) == {}
