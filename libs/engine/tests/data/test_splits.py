"""Selectors choose frames, files hold splits, constraints keep them apart."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from swath.documents import SplitsDocument
from swath.engine.data import Collection, Sample, universe_hash
from swath.engine.data.collection import ordered
from swath.engine.data.splits import assign
from swath.errors import DataInvalid, FileMissing

Assign = Callable[..., dict[str, list[str]]]

#: Frames of two recordings; the second of b is of category 2.
FRAMES = [("days/a.cu3s", 0), ("days/a.cu3s", 1), ("days/a.cu3s", 2), ("days/b.cu3s", 0), ("days/b.cu3s", 1)]


@pytest.fixture
def collection() -> Collection:
    samples = ordered(Sample(source, index, Path(source)) for source, index in FRAMES)
    return Collection(
        samples,
        read=lambda sample: {},
        labels=lambda sample: frozenset({2} if sample.uid == "days/b.cu3s#1" else ()),
        categories={"stone": 2, "leaf": 3},
        stages={"train": samples[:1]},
    )


@pytest.fixture
def split(collection: Collection, resolve: Callable[[str], Path]) -> Assign:
    """Names of the frames of each stage, such as a0 and b1."""

    def assigned(*, over: Collection = collection, **fields: Any) -> dict[str, list[str]]:
        stages = assign(SplitsDocument.model_validate(fields), over, resolve)
        return {stage: [f"{sample.stem}{sample.index}" for sample in samples] for stage, samples in stages.items()}

    return assigned


@pytest.mark.parametrize(
    ("selector", "chosen"),
    [
        ({"kind": "all"}, "a0 a1 a2 b0 b1"),
        ({"kind": "files", "paths": ["days/b.cu3s"]}, "b0 b1"),
        ({"kind": "files", "paths": ["./days//b.cu3s"]}, "b0 b1"),
        ({"kind": "file_indices", "source": "days/a.cu3s", "ids": [2, "0-1"]}, "a0 a1 a2"),
        ({"kind": "file_indices", "source": "days/a.cu3s", "ids": ["0-2:2"]}, "a0 a2"),
        ({"kind": "dir_indices", "ids": [4, 0, "3-4"]}, "b1 a0 b0"),
        ({"kind": "stems", "stems": ["a"]}, "a0 a1 a2"),
        ({"kind": "glob", "pattern": "days/b*"}, "b0 b1"),
        ({"kind": "glob", "pattern": "[a]"}, "a0 a1 a2"),
        ({"kind": "tag", "any_of": ["anomalous"]}, "b1"),
        ({"kind": "tag", "any_of": ["normal"]}, "a0 a1 a2 b0"),
        ({"kind": "categories", "any_of": ["stone", "leaf"]}, "b1"),
        ({"kind": "categories", "any_of": ["2"]}, "b1"),
        ({"kind": "union", "of": [{"kind": "dir_indices", "ids": [3]}, {"kind": "stems", "stems": ["b"]}]}, "b0 b1"),
        ({"kind": "except", "of": [{"kind": "all"}, {"kind": "stems", "stems": ["a"]}]}, "b0 b1"),
        (
            {"kind": "except", "of": [{"kind": "stems", "stems": ["a"]}, {"kind": "files", "paths": ["gone"]}]},
            "a0 a1 a2",
        ),
        ({"kind": "intersect", "of": [{"kind": "all"}, {"kind": "dir_indices", "ids": [1, 4]}]}, "a1 b1"),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else None,
)
def test_selectors(split: Assign, selector: dict[str, Any], chosen: str) -> None:
    assert split(val=[selector])["val"] == chosen.split()


def test_a_stage_is_the_union_of_its_selectors_in_their_order(split: Assign) -> None:
    stages = split(train=[{"kind": "stems", "stems": ["b"]}, {"kind": "dir_indices", "ids": [1, 3]}])

    assert stages["train"] == ["b0", "b1", "a1"]


def test_windows_spellings_match_without_case(collection: Collection, split: Assign) -> None:
    over = Collection(ordered([Sample("C:/Days/A.cu3s", 0, Path("a"))]), collection.read)

    assert split(over=over, train=[{"kind": "files", "paths": ["c:\\days\\a.cu3s"]}])["train"] == ["A0"]


def test_two_spellings_of_one_path_are_one_path(split: Assign, workspace: Path) -> None:
    (workspace / "days").mkdir()
    (workspace / "days" / "b.cu3s").touch()
    (workspace / "today").symlink_to("days")
    for path in (str(workspace / "days" / "b.cu3s"), "today/b.cu3s", "today/../days/b.cu3s"):
        assert split(test=[{"kind": "files", "paths": [path]}])["test"] == ["b0", "b1"]
        assert split(test=[{"kind": "file_indices", "source": path, "ids": [1]}])["test"] == ["b1"]
        both = [{"kind": "files", "paths": ["days/b.cu3s"]}, {"kind": "file_indices", "source": path, "ids": [1]}]
        assert split(test=[{"kind": "except", "of": both}])["test"] == ["b0"]
    with pytest.raises(DataInvalid, match="matches none"):
        split(test=[{"kind": "files", "paths": [str(workspace / "days" / "c.cu3s")]}])


def test_predict_is_everything_unless_it_is_said(split: Assign) -> None:
    assert split(train=[{"kind": "stems", "stems": ["a"]}])["predict"] == ["a0", "a1", "a2", "b0", "b1"]
    assert split(predict=[{"kind": "stems", "stems": ["b"]}])["predict"] == ["b0", "b1"]


def test_without_selectors_the_module_splits_itself(split: Assign) -> None:
    assert split() == {"train": ["a0"], "val": [], "test": [], "predict": ["a0", "a1", "a2", "b0", "b1"]}


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        (
            {"kind": "stems", "stems": ["c"]},
            r"splits\.train\[0\] \(stems\) matches none of the 5 frames; .* days/a",
        ),
        ({"kind": "dir_indices", "ids": [0, 5]}, r"positions \[5\] are past the 5 frames"),
        ({"kind": "dir_indices", "ids": [-1]}, "ids must be numbers >= 0 or ranges 'a-b', got -1"),
        ({"kind": "file_indices", "source": "days/a.cu3s", "ids": ["first"]}, "ranges 'a-b', got 'first'"),
        ({"kind": "dir_indices", "ids": ["3-1"]}, "the range '3-1' is empty"),
        ({"kind": "dir_indices", "ids": ["0-99999999999"]}, "is longer than 10000000"),
        ({"kind": "tag", "any_of": ["odd"]}, r"unknown tags \['odd'\]; frames are tagged anomalous or normal"),
        ({"kind": "categories", "any_of": ["glass"]}, r"unknown categories \['glass'\]; there are \['leaf', 'stone'\]"),
    ],
)
def test_selectors_that_cannot_be_meant_are_named(split: Assign, selector: dict[str, Any], message: str) -> None:
    with pytest.raises(DataInvalid, match=message):
        split(train=[selector])


def test_labels_can_only_be_asked_for_where_there_are_some(collection: Collection, split: Assign) -> None:
    bare = Collection(collection.samples, collection.read)

    with pytest.raises(DataInvalid, match="the data has no labels"):
        split(over=bare, train=[{"kind": "tag", "any_of": ["normal"]}])


def test_a_selector_that_finds_only_part_is_logged(split: Assign, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        split(train=[{"kind": "file_indices", "source": "days/a.cu3s", "ids": [0, 9]}])

    assert "matches only part of what it names; not there: [9]" in caplog.text


# --- files and universes ---


def test_stages_of_a_file_give_way_to_those_given(split: Assign, workspace: Path) -> None:
    stems = {stem: [{"kind": "stems", "stems": [stem]}] for stem in "ab"}
    (workspace / "splits.json").write_text(json.dumps({"train": stems["a"], "test": stems["a"]}))

    stages = split(splits_path="splits.json", test=stems["b"])

    assert (stages["train"], stages["val"], stages["test"]) == (["a0", "a1", "a2"], [], ["b0", "b1"])


def test_constraints_are_those_of_the_file(split: Assign, workspace: Path) -> None:
    everything = [{"kind": "all"}]
    (workspace / "splits.json").write_text(json.dumps({"train": everything, "val": everything}))

    stages = split(splits_path="splits.json", constraints=[{"kind": "no_split_overlap"}])

    assert len(stages["val"]) == 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "splits file 'splits.json' is not JSON"),
        ('{"train": [{"kind": "some"}]}', "splits file 'splits.json': .*kind"),
        ('{"splits_path": "more.json"}', "names another splits file"),
    ],
)
def test_a_file_that_holds_no_splits_is_named(split: Assign, workspace: Path, text: str, message: str) -> None:
    (workspace / "splits.json").write_text(text)

    with pytest.raises(DataInvalid, match=f"(?s){message}"):
        split(splits_path="splits.json")


def test_a_splits_file_that_is_not_there_is_missing(split: Assign) -> None:
    with pytest.raises(FileMissing, match=r"splits file 'splits\.json' does not exist"):
        split(splits_path="splits.json")


def test_positions_hold_only_for_the_universe_they_were_written_for(collection: Collection, split: Assign) -> None:
    train = [{"kind": "union", "of": [{"kind": "dir_indices", "ids": [0]}]}]

    assert split(train=train, universe_hash=universe_hash(collection.samples))["train"] == ["a0"]
    with pytest.raises(DataInvalid, match=r"expected universe_hash 00, got .* over 5 frames"):
        split(train=train, universe_hash="00")


def test_names_hold_for_any_universe(split: Assign) -> None:
    assert split(train=[{"kind": "stems", "stems": ["a"]}], universe_hash="00")["train"] == ["a0", "a1", "a2"]


# --- constraints ---


def stages_with(kind: str, severity: str = "error", **stages: list[int | str]) -> dict[str, Any]:
    chosen = {stage: [{"kind": "dir_indices", "ids": ids}] for stage, ids in stages.items()}
    return {**chosen, "constraints": [{"kind": kind, "severity": severity}]}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            stages_with("no_split_overlap", train=["0-2"], test=["2-3"]),
            r"no_split_overlap: 1 frames are in train and test \(days/a\.cu3s#2\)",
        ),
        (
            stages_with("no_source_overlap", train=[0], val=[1], test=[3]),
            r"no_source_overlap: 1 sources are in more than one of train, val, test \(days/a\.cu3s\)",
        ),
        (
            stages_with("no_train_anomalous", train=[0, 4]),
            r"no_train_anomalous: 1 frames of train are anomalous \(days/b\.cu3s#1\)",
        ),
    ],
)
def test_a_constraint_that_does_not_hold_is_an_error(split: Assign, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(DataInvalid, match=message):
        split(**fields)


def test_a_constraint_of_severity_warn_is_logged(split: Assign, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        split(**stages_with("no_train_anomalous", "warn", train=[4]))

    assert "1 frames of train are anomalous" in caplog.text


@pytest.mark.parametrize("kind", ["no_split_overlap", "no_source_overlap", "no_train_anomalous"])
def test_constraints_that_hold_are_silent(split: Assign, caplog: pytest.LogCaptureFixture, kind: str) -> None:
    split(**stages_with(kind, train=["0-2"], test=["3-4"], predict=[0]))

    assert not caplog.records


def test_a_constraint_that_cannot_be_checked_does_not_hold(collection: Collection, split: Assign) -> None:
    with pytest.raises(DataInvalid, match="the data has no labels to check it by"):
        split(over=Collection(collection.samples, collection.read), **stages_with("no_train_anomalous", train=[0]))
