"""What the documents accept, fill in and refuse."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from swath.documents import (
    SCHEMAS_VERSION,
    CallbacksDocument,
    ConnectionDocument,
    DataDocument,
    PipelineDocument,
    SelectorDocument,
    TrainingDocument,
    TrainRunDocument,
    parse,
    plain,
    review,
)
from swath.errors import DocumentInvalid


def test_training_defaults_are_those_of_the_contract() -> None:
    assert plain(TrainingDocument()) == {
        "seed": 42,
        "optimizer": {"name": "adamw", "lr": 0.001, "weight_decay": 0.0, "momentum": 0.9, "betas": None},
        "scheduler": None,
        "callbacks": None,
        "release_cuda_cache_on_validation": False,
        "max_epochs": 100,
        "accelerator": "auto",
        "devices": None,
        "default_root_dir": None,
        "precision": "32-true",
        "accumulate_grad_batches": 1,
        "enable_progress_bar": True,
        "enable_checkpointing": False,
        "log_every_n_steps": 50,
        "val_check_interval": 1.0,
        "check_val_every_n_epoch": 1,
        "limit_train_batches": None,
        "limit_val_batches": None,
        "num_sanity_val_steps": None,
        "gradient_clip_val": None,
        "deterministic": False,
        "benchmark": False,
    }


def test_scheduler_defaults_are_those_of_the_contract() -> None:
    scheduler = plain(parse("scheduler", {}))

    assert scheduler == {
        "name": None,
        "warmup_epochs": 0,
        "min_lr": 1e-6,
        "t_max": None,
        "step_size": None,
        "gamma": None,
        "monitor": None,
        "mode": "min",
        "factor": 0.1,
        "patience": 10,
        "threshold": 1e-4,
        "threshold_mode": "rel",
        "cooldown": 0,
        "eps": 1e-8,
        "verbose": False,
    }


def test_callback_defaults_are_those_of_the_contract() -> None:
    callbacks = plain(
        CallbacksDocument.model_validate(
            {"checkpoint": {}, "early_stopping": [{"monitor": "val/bce"}], "learning_rate_monitor": {}}
        )
    )

    assert callbacks["checkpoint"] == {
        "dirpath": "checkpoints",
        "filename": None,
        "monitor": "val_loss",
        "mode": "min",
        "save_top_k": 3,
        "every_n_epochs": None,
        "save_last": False,
        "auto_insert_metric_name": True,
        "verbose": False,
        "save_on_exception": False,
        "save_weights_only": False,
        "every_n_train_steps": None,
        "train_time_interval": None,
        "save_on_train_epoch_end": None,
        "enable_version_counter": True,
    }
    assert callbacks["early_stopping"] == [
        {
            "monitor": "val/bce",
            "patience": 10,
            "mode": "min",
            "min_delta": 0.0,
            "stopping_threshold": None,
            "verbose": True,
            "strict": True,
            "check_finite": True,
            "divergence_threshold": None,
            "check_on_train_epoch_end": None,
            "log_rank_zero_only": False,
        }
    ]
    assert callbacks["learning_rate_monitor"] == {
        "logging_interval": "epoch",
        "log_momentum": False,
        "log_weight_decay": False,
    }


def test_data_and_trainrun_defaults_are_those_of_the_contract() -> None:
    trainrun = plain(TrainRunDocument(name="run", data=DataDocument()))

    assert trainrun == {
        "name": "run",
        "pipeline": None,
        "data": {"data_module": "cu3s", "splits": None, "batch_size": 1, "num_workers": 0, "params": {}},
        "training": None,
        "loss_nodes": [],
        "metric_nodes": [],
        "freeze_nodes": [],
        "unfreeze_nodes": [],
        "output_dir": "./outputs",
        "tags": {},
    }


def test_pipeline_metadata_names_the_version_of_the_schemas() -> None:
    pipeline = parse("pipeline", {"metadata": {"name": "RX"}})

    assert pipeline.metadata.cuvis_ai_version == SCHEMAS_VERSION


@pytest.mark.parametrize(
    ("kind", "bad", "place"),
    [
        ("training", {"seed": -1}, "seed"),
        ("training", {"max_epochs": 0}, "max_epochs"),
        ("training", {"max_epochs": 10_001}, "max_epochs"),
        ("training", {"limit_train_batches": -1}, "limit_train_batches"),
        ("training", {"limit_val_batches": 1.5}, "limit_val_batches"),
        ("training", {"num_sanity_val_steps": -2}, "num_sanity_val_steps"),
        ("training", {"val_check_interval": -0.5}, "val_check_interval"),
        ("optimizer", {"lr": 0}, "lr"),
        ("optimizer", {"lr": 1.1}, "lr"),
        ("optimizer", {"weight_decay": 2}, "weight_decay"),
        ("optimizer", {"betas": [0.9]}, "betas"),
        ("scheduler", {"mode": "best"}, "mode"),
        ("scheduler", {"patience": -1}, "patience"),
        ("callbacks", {"early_stopping": [{}]}, "early_stopping.0.monitor"),
        ("data", {"batch_size": 0}, "batch_size"),
        ("data", {"num_workers": -1}, "num_workers"),
        ("pipeline", {"plugins": ["not a name"]}, "plugins"),
        ("pipeline", {"nodes": [{"name": "a"}]}, "nodes.0.class_name"),
        ("pipeline", {"metadata": {}}, "metadata.name"),
        ("trainrun", {"name": "x"}, "data"),
        ("trainrun", {"name": "x", "data": {}, "extra": 1}, "extra"),
    ],
)
def test_values_out_of_range_are_refused_by_place(kind: str, bad: dict[str, Any], place: str) -> None:
    with pytest.raises(DocumentInvalid) as refused:
        parse(kind, bad)

    assert refused.value.message.splitlines()[0].startswith("1 validation error for ")
    assert any(line.split(".0.function")[0].startswith(place) for line in refused.value.message.splitlines())


def test_a_batch_limit_is_a_count_or_a_share() -> None:
    training = parse("training", {"limit_train_batches": 3, "limit_val_batches": 0.5})

    assert (training.limit_train_batches, training.limit_val_batches) == (3, 0.5)
    assert isinstance(training.limit_train_batches, int)


def test_the_interval_of_checkpoints_is_written_as_iso_8601() -> None:
    callbacks = parse("callbacks", {"checkpoint": {"train_time_interval": 300}})

    assert plain(callbacks)["checkpoint"]["train_time_interval"] == "PT5M"


@pytest.mark.parametrize(
    ("source", "target"), [("a.b", "c.inputs.d"), ("a.outputs.b", "c.outputs.d"), (".outputs.b", "c.inputs.d")]
)
def test_connections_have_three_parts(source: str, target: str) -> None:
    with pytest.raises(ValidationError, match=r"Expected: 'node\.(outputs|inputs)\.port'"):
        ConnectionDocument(source=source, target=target)


def test_a_connection_knows_its_nodes_and_ports() -> None:
    edge = ConnectionDocument(source="rx.outputs.scores", target="logit.inputs.scores")

    assert (edge.start.node, edge.start.port, edge.end.node, edge.end.port) == ("rx", "scores", "logit", "scores")


@pytest.mark.parametrize(
    "selector",
    [
        {"kind": "files", "paths": ["a.npz"]},
        {"kind": "file_indices", "source": "a.cu3s", "ids": [0, "3-7"]},
        {"kind": "dir_indices", "ids": [1]},
        {"kind": "stems", "stems": ["a"]},
        {"kind": "glob", "pattern": "*.npz"},
        {"kind": "tag", "any_of": ["day"]},
        {"kind": "categories", "any_of": ["stone"]},
        {"kind": "all"},
        {"kind": "union", "of": [{"kind": "all"}]},
        {"kind": "except", "of": [{"kind": "all"}, {"kind": "stems", "stems": ["a"]}]},
        {"kind": "intersect", "of": [{"kind": "all"}, {"kind": "all"}]},
    ],
)
def test_every_kind_of_selector(selector: dict[str, Any]) -> None:
    assert SelectorDocument.model_validate(selector).kind == selector["kind"]


@pytest.mark.parametrize(
    ("selector", "message"),
    [
        ({"kind": "files"}, "selector kind 'files' requires non-empty 'paths'"),
        ({"kind": "file_indices", "ids": [1]}, "selector kind 'file_indices' requires 'source'"),
        ({"kind": "all", "paths": ["a"]}, "selector kind 'all' must not set field 'paths'"),
        ({"kind": "except", "of": [{"kind": "all"}]}, "selector kind 'except' requires at least 2 operands in 'of'"),
    ],
)
def test_a_selector_has_the_fields_of_its_kind(selector: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SelectorDocument.model_validate(selector)


def test_a_constraint_stands_once() -> None:
    twice = {
        "splits": {"constraints": [{"kind": "no_split_overlap"}, {"kind": "no_split_overlap", "severity": "warn"}]}
    }

    with pytest.raises(DocumentInvalid, match=r"duplicate constraint kind\(s\): no_split_overlap"):
        parse("data", twice)


def test_the_pipeline_of_a_trainrun_is_a_path_or_a_document() -> None:
    by_path = parse("trainrun", {"name": "x", "data": {}, "pipeline": "../pipeline/rx.yaml"})
    inline = parse("trainrun", {"name": "x", "data": {}, "pipeline": {"nodes": []}})

    assert by_path.pipeline == "../pipeline/rx.yaml"
    assert inline.pipeline == PipelineDocument()


def test_documents_do_not_change() -> None:
    training = TrainingDocument()

    with pytest.raises(ValidationError, match="frozen"):
        training.seed = 1


@pytest.mark.parametrize(
    ("training", "errors", "warnings"),
    [
        ({}, [], []),
        ({"scheduler": {"name": "none"}}, [], []),
        ({"optimizer": {"name": "lion"}}, ["Unsupported optimizer 'lion'. Supported: adam, adamw, sgd"], []),
        (
            {"scheduler": {"name": "linear"}},
            ["Unsupported scheduler 'linear'. Supported: cosine, exponential, plateau, reduce_on_plateau, step"],
            [],
        ),
        (
            {"scheduler": {"name": "cosine", "warmup_epochs": 5}, "max_epochs": 5},
            ["warmup_epochs (5) must be smaller than max_epochs (5)"],
            [],
        ),
        (
            {"scheduler": {"name": "plateau", "warmup_epochs": 1}},
            ["warmup_epochs is not supported with scheduler 'plateau': it steps on a monitored metric"],
            ["Plateau scheduler configured without 'monitor'; defaulting to val_loss"],
        ),
    ],
)
def test_review_sees_what_no_field_sees_alone(training: dict[str, Any], errors: list[str], warnings: list[str]) -> None:
    assert review(parse("training", training)) == (errors, warnings)
