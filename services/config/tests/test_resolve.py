"""Which file is resolved, and how it is composed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from swath.errors import ConfigInvalid, ConfigNotFound, DocumentInvalid
from swath.storage.workspace.folder import Workspace

from .conftest import Resolve, Write


def test_defaults_are_filled_in(compose: Resolve, write: Write) -> None:
    write("configs/optimizer/fast.yaml", "lr: 0.1")

    assert compose("optimizer", "optimizer/fast") == {
        "name": "adamw",
        "lr": 0.1,
        "weight_decay": 0.0,
        "momentum": 0.9,
        "betas": None,
    }


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("training", "max_epochs: 3"),
        ("optimizer", "name: sgd"),
        ("scheduler", "name: cosine"),
        ("callbacks", "checkpoint: {monitor: x}"),
        ("data", "data_module: scene"),
        ("pipeline", "nodes: []"),
        ("trainrun", "name: x\ndata: {}"),
    ],
)
def test_every_kind_resolves_from_a_group_of_its_name(compose: Resolve, write: Write, kind: str, text: str) -> None:
    write(f"configs/{kind}/mine.yaml", text)

    resolved = compose(kind, f"{kind}/mine")

    key = text.split(":")[0]
    assert resolved[key] is not None


def test_a_nested_pipeline_resolves_from_the_configs_root(compose: Resolve) -> None:
    pipeline = compose("pipeline", "pipeline/anomaly/rx/rx_statistical")

    assert [node["name"] for node in pipeline["nodes"]][:3] == [
        "LentilsAnomalyDataNode",
        "MinMaxNormalizer",
        "RXGlobal",
    ]


def test_a_pipeline_resolves_from_its_own_folder(compose: Resolve, shipped: Path) -> None:
    folder = str(shipped / "pipeline/anomaly/rx")

    pipeline = compose("pipeline", "rx_statistical", search_paths=(folder,))

    assert pipeline == compose("pipeline", "pipeline/anomaly/rx/rx_statistical.yaml")


def test_a_document_wrapped_under_its_kind_is_unwrapped(compose: Resolve, write: Write) -> None:
    write("mine/fast.yaml", "training:\n  max_epochs: 3")

    assert compose("training", "fast", search_paths=("mine",))["max_epochs"] == 3


def test_the_first_search_path_that_has_the_file_wins(compose: Resolve, write: Write) -> None:
    write("one/data.yaml", "batch_size: 1")
    write("two/data.yaml", "batch_size: 2")

    assert compose("data", "data", search_paths=("two", "one"))["batch_size"] == 2


def test_the_workspace_lies_over_the_shipped_configs(compose: Resolve, write: Write) -> None:
    write("configs/data/lentils.yaml", "data_module: scene\nparams: {path: mine.npz}")

    trainrun = compose("trainrun", "trainrun/rx_statistical")

    assert trainrun["data"]["params"] == {"path": "mine.npz"}


def test_an_absolute_path(compose: Resolve, write: Write) -> None:
    file = write("somewhere/run.yaml", "name: x\ndata: {batch_size: 3}")

    assert compose("trainrun", str(file))["data"]["batch_size"] == 3


def test_a_missing_file_is_answered_with_the_paths_searched(
    compose: Resolve, workspace: Workspace, shipped: Path
) -> None:
    (workspace.root / "configs").mkdir()

    with pytest.raises(ConfigNotFound) as missing:
        compose("trainrun", "trainrun/nope")

    paths = [str(workspace.root / "configs"), str(shipped)]
    assert missing.value.message == f"Config file 'trainrun/nope' not found in search paths: {paths}"


def test_a_missing_absolute_file(compose: Resolve, workspace: Workspace) -> None:
    with pytest.raises(ConfigNotFound, match=r"Config file not found: .*/gone\.yaml"):
        compose("data", str(workspace.root / "gone.yaml"))


def test_an_unknown_kind_is_told_after_the_file_was_found(compose: Resolve) -> None:
    with pytest.raises(ConfigInvalid, match=r"Unknown config type: model\. Available types: \['training', 'optimizer'"):
        compose("model", "training/default")
    with pytest.raises(ConfigNotFound):
        compose("model", "training/nope")


def test_defaults_lists_packages_and_interpolation(compose: Resolve, write: Write) -> None:
    write("configs/base/sizes.yaml", "# @package _global_\ndata:\n  batch_size: 4\n  num_workers: 1")
    write(
        "configs/trainrun/mine.yaml",
        "# @package _global_\n"
        "defaults:\n- /training@training: default\n- /base/sizes\n- _self_\n"
        "name: mine\ndata: {num_workers: 2}\noutput_dir: out/${name}/${data.batch_size}\n"
        "training:\n  max_epochs: ${data.batch_size}\n",
    )

    trainrun = compose("trainrun", "trainrun/mine")

    assert trainrun["data"] | {"splits": None, "params": {}, "data_module": "cu3s"} == trainrun["data"]
    assert (trainrun["data"]["batch_size"], trainrun["data"]["num_workers"]) == (4, 2)
    assert (trainrun["output_dir"], trainrun["training"]["max_epochs"]) == ("out/mine/4", 4)
    assert trainrun["training"]["optimizer"]["weight_decay"] == 0.01


def test_a_trainrun_without_a_package_line_is_unwrapped_too(compose: Resolve, write: Write) -> None:
    write("configs/trainrun/mine.yaml", "defaults:\n- /data@data: san_diego_scene\n- _self_\nname: mine\n")

    assert compose("trainrun", "trainrun/mine", "data.batch_size=3")["data"]["batch_size"] == 3


def test_a_pipeline_composed_by_the_defaults_list_stands_in_the_answer(compose: Resolve) -> None:
    pipeline = compose("trainrun", "trainrun/deep_svdd")["pipeline"]

    assert pipeline["metadata"]["name"] == "DeepSVDD_Gradient"
    assert len(pipeline["nodes"]) == 13


def test_a_pipeline_named_by_its_path_stays_a_path(compose: Resolve) -> None:
    trainrun = compose("trainrun", "trainrun/default_gradient", "training.max_epochs=2")

    assert trainrun["pipeline"] == "../pipeline/anomaly/rx/channel_selector.yaml"


def test_an_override_below_pipeline_brings_the_named_pipeline_in(compose: Resolve) -> None:
    trainrun = compose("trainrun", "trainrun/default_gradient", "pipeline.nodes.SoftChannelSelector.hparams.n_select=7")

    assert trainrun["pipeline"]["nodes"][2]["hparams"]["n_select"] == 7
    assert len(trainrun["pipeline"]["connections"]) == 20


@pytest.mark.parametrize(
    "path", ["rx", "rx.yaml", "../pipeline/rx.yaml", "../configs/pipeline/rx.yaml", "anomaly/rx/rx_statistical"]
)
def test_where_a_named_pipeline_is_looked_for(compose: Resolve, write: Write, path: str) -> None:
    rx = "nodes: [{name: a, class_name: A}, {name: RXGlobal, class_name: RXGlobal, params: {num_channels: 3}}]"
    for place in ("configs/trainrun/rx.yaml", "configs/pipeline/rx.yaml"):
        write(place, rx)
    write("configs/trainrun/mine.yaml", f"# @package _global_\nname: mine\ndata: {{}}\npipeline: {path}\n")

    trainrun = compose(
        "trainrun", "trainrun/mine", "pipeline.nodes.RXGlobal.params.num_channels=5", "pipeline.nodes.0.name=b"
    )

    assert trainrun["pipeline"]["nodes"][0]["name"] == "b"


def test_a_named_pipeline_that_is_nowhere(compose: Resolve, write: Write) -> None:
    write("configs/trainrun/mine.yaml", "# @package _global_\nname: mine\ndata: {}\npipeline: nope.yaml\n")

    with pytest.raises(ConfigNotFound, match=r"Pipeline 'nope.yaml' of trainrun 'trainrun/mine' not found; looked for"):
        compose("trainrun", "trainrun/mine", "pipeline.nodes.0.name=x")


def test_a_literal_dollar_of_a_named_pipeline_stays_one(compose: Resolve, write: Write) -> None:
    write("configs/pipeline/mine.yaml", r"nodes: [{name: a, class_name: A, hparams: {pattern: '\${x}', eps: 1}}]")
    write("configs/trainrun/mine.yaml", "# @package _global_\nname: mine\ndata: {}\npipeline: ../pipeline/mine.yaml\n")

    trainrun = compose("trainrun", "trainrun/mine", "pipeline.nodes.a.hparams.eps=2")

    assert trainrun["pipeline"]["nodes"][0]["hparams"] == {"pattern": "${x}", "eps": 2}


def test_hydra_settings_in_a_file_have_no_effect(compose: Resolve, write: Write) -> None:
    write(
        "configs/trainrun/mine.yaml", "# @package _global_\nname: x\ndata: {}\nhydra: {run: {dir: '${output_dir}'}}\n"
    )

    assert "hydra" not in compose("trainrun", "trainrun/mine")


def test_older_spellings_in_files(compose: Resolve, write: Write) -> None:
    write(
        "configs/trainrun/old.yaml",
        "# @package _global_\nname: old\ndata: {}\ntraining: {trainer: {max_epochs: 3}}\n"
        "pipeline: {nodes: [{name: rx, class_name: RXGlobal, params: {eps: 1}}]}\n",
    )

    trainrun = compose("trainrun", "trainrun/old", "training.trainer.max_epochs=4", "pipeline.nodes.rx.params.eps=2")

    assert trainrun["training"]["max_epochs"] == 4
    assert trainrun["pipeline"]["nodes"][0]["hparams"] == {"eps": 2}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: x\ndata: [1\n", "Config resolution failed: trainrun/bad.yaml is not valid YAML: line 3, column 1"),
        ("name: x\nname: y\n", "trainrun/bad.yaml is not valid YAML: line 2, column 1: found duplicate key 'name'"),
        ("- 1\n", "trainrun/bad.yaml holds a list; a mapping is expected"),
        (
            "defaults:\n- /data@data: nope\n- _self_\n",
            "Config resolution failed: trainrun/bad.yaml, line 2: In 'trainrun/bad': Could not find 'data/nope'",
        ),
        (
            "name: x\ndata:\n  batch_size: ${no.such}\n",
            "trainrun/bad.yaml, line 3: Interpolation key 'no.such' not found",
        ),
        ("name: ???\ndata: {}\n", "trainrun/bad.yaml, line 1: Missing mandatory value: "),
        ("# @package\nname: x\n", "trainrun/bad.yaml: Expected header format: KEY VALUE"),
        (
            "# @package _global_\nname: ${name}\ndata: {}\n",
            "trainrun/bad.yaml, line 2: Recursive interpolation detected",
        ),
        ("defaults: 3\n", "Invalid defaults list in 'trainrun/bad'"),
        ("defaults:\n- bad\n", "nested or referenced too deeply"),
    ],
)
def test_what_does_not_compose_is_told_with_its_line(compose: Resolve, write: Write, text: str, message: str) -> None:
    write("configs/trainrun/bad.yaml", text)

    with pytest.raises(ConfigInvalid) as refused:
        compose("trainrun", "trainrun/bad")

    assert refused.value.message.startswith("Config resolution failed: ")
    assert message in refused.value.message


def test_a_document_that_is_not_of_its_kind_is_told_in_pydantics_words(compose: Resolve) -> None:
    with pytest.raises(DocumentInvalid, match=r"^\d+ validation errors for PipelineConfig\n"):
        compose("pipeline", "training/default")


def test_infinite_numbers_have_no_place_in_json(compose: Resolve, write: Write) -> None:
    write("configs/data/mine.yaml", "params: {x: .inf}")

    with pytest.raises(DocumentInvalid, match="cannot be written as JSON"):
        compose("data", "data/mine")


def test_unicode_stays_readable(compose: Resolve, write: Write, workspace: Workspace) -> None:
    write("configs/data/mine.yaml", "params: {ort: Zürich}")

    resolved: dict[str, Any] = compose("data", "data/mine")

    assert resolved["params"] == {"ort": "Zürich"}
