"""Reading documents by kind: older spellings, error texts, JSON Schemas."""

from __future__ import annotations

import json

import pytest

from swath.documents import KINDS, modernize, parse, problems, schema
from swath.errors import ConfigInvalid, DocumentInvalid


def test_kinds_are_those_of_the_wire() -> None:
    assert list(KINDS) == ["training", "optimizer", "scheduler", "callbacks", "data", "pipeline", "trainrun"]


def test_an_unknown_kind_is_answered_with_those_that_there_are() -> None:
    with pytest.raises(ConfigInvalid, match=r"Unknown config type: model\. Available types: \['training', "):
        parse("model", {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"{", "Invalid JSON: "),
        (b"\xff", "Invalid UTF-8"),
        (b"[1]", "Invalid JSON: expected an object, got list"),
        (b"[" * 100_000, "Invalid JSON: nested too deeply"),
    ],
)
def test_text_that_is_no_document(text: bytes, message: str) -> None:
    with pytest.raises(DocumentInvalid, match=message):
        parse("data", text)


def test_errors_carry_pydantics_text_under_the_name_that_clients_know() -> None:
    with pytest.raises(DocumentInvalid) as refused:
        parse("trainrun", b"{}")

    assert refused.value.message.startswith("2 validation errors for TrainRunConfig\nname\n  Field required")


def test_problems_name_the_place_with_dots() -> None:
    trainrun = {
        "name": 1,
        "pipeline": {"nodes": [{"name": "rx"}]},
        "data": {"splits": {"train": [{"kind": "all"}, {}]}},
    }

    assert problems("trainrun", trainrun) == [
        "name: Input should be a valid string",
        "pipeline.nodes.0.class_name: Field required",
        "data.splits.train.1.kind: Field required",
    ]


def test_nested_trainer_settings_are_flattened_and_todays_spelling_wins() -> None:
    old = {"seed": 1, "max_epochs": 7, "trainer": {"max_epochs": 2, "precision": "16-mixed"}}

    assert modernize("training", old) == {"seed": 1, "max_epochs": 7, "precision": "16-mixed"}


def test_older_spellings_of_nodes() -> None:
    old = {"version": "1", "nodes": [{"name": "rx", "class": "RXGlobal", "params": {"eps": 1}}]}

    assert modernize("pipeline", old) == {"nodes": [{"name": "rx", "class_name": "RXGlobal", "hparams": {"eps": 1}}]}


def test_a_trainrun_is_modernized_through_and_through() -> None:
    trainrun = parse(
        "trainrun",
        {
            "name": "x",
            "data": {},
            "training": {"trainer": {"max_epochs": 2}},
            "pipeline": {"nodes": [{"name": "rx", "type": "RXGlobal", "params": {"eps": 1}}]},
        },
    )

    assert trainrun.training.max_epochs == 2
    assert trainrun.pipeline.nodes[0].hparams == {"eps": 1}


def test_a_node_may_leave_its_hparams_empty() -> None:
    pipeline = parse("pipeline", {"nodes": [{"name": "m", "class_name": "M", "hparams": None}]})

    assert pipeline.nodes[0].hparams == {}


@pytest.mark.parametrize("kind", list(KINDS))
def test_schemas_are_json_with_titles_as_definitions(kind: str) -> None:
    text = schema(kind)
    tree = json.loads(text)

    assert text.startswith('{\n  "')
    assert tree["additionalProperties"] is False
    assert all(name == definition["title"] for name, definition in tree.get("$defs", {}).items())
    references = {part.split('"')[0] for part in text.split('"#/$defs/')[1:]}
    assert references <= set(tree.get("$defs", {}))


def test_schema_titles_are_the_references() -> None:
    titles = {kind: json.loads(schema(kind))["title"] for kind in KINDS}

    assert titles == {
        "training": "TrainingConfig",
        "optimizer": "OptimizerConfig",
        "scheduler": "SchedulerConfig",
        "callbacks": "CallbacksConfig",
        "data": "DataConfig",
        "pipeline": "PipelineConfig",
        "trainrun": "TrainRunConfig",
    }
