"""Overrides: Hydra's grammar, list items by number and name, older spellings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from swath.errors import ConfigInvalid, DocumentInvalid
from swath_config.composition.overrides import read

from .conftest import Resolve, Write

RUN = """# @package _global_
defaults:
- /data@data: lentils
- /training@training: default
- _self_
name: mine
pipeline:
  nodes:
  - {name: channel_selector, class_name: SoftChannelSelector, hparams: {tau_start: 5.0, sizes: [1, 2]}}
  - {name: rx, class_name: RXGlobal}
  connections: []
loss_nodes: [bce]
tags: {site: one}
"""

Change = Callable[..., dict[str, Any]]


@pytest.fixture
def change(compose: Resolve, write: Write) -> Change:
    """Resolves a trainrun with the given overrides."""
    write("configs/trainrun/mine.yaml", RUN)
    return lambda *overrides: compose("trainrun", "trainrun/mine", *overrides)


@pytest.mark.parametrize(
    "key",
    [
        "pipeline.nodes.channel_selector.hparams.tau_start",
        "pipeline.nodes.channel_selector.params.tau_start",
        "pipeline.nodes.0.hparams.tau_start",
        "pipeline.nodes[0].hparams.tau_start",
        "pipeline.nodes[channel_selector].params.tau_start",
    ],
)
def test_nodes_by_number_and_name_in_both_spellings(change: Change, key: str) -> None:
    assert change(f"{key}=8.0")["pipeline"]["nodes"][0]["hparams"]["tau_start"] == 8.0


def test_the_tutorials_overrides(change: Change) -> None:
    trainrun = change(
        "training.trainer.max_epochs=2",
        "pipeline.nodes.channel_selector.params.tau_start=8.0",
        "data.batch_size=4",
    )

    assert trainrun["training"]["max_epochs"] == 2
    assert trainrun["pipeline"]["nodes"][0]["hparams"]["tau_start"] == 8.0
    assert trainrun["data"]["batch_size"] == 4


@pytest.mark.parametrize(
    ("override", "place", "value"),
    [
        ("training.optimizer.lr=1e-2", "training.optimizer.lr", 0.01),
        ("name='a, b'", "name", "a, b"),
        ("training.deterministic=true", "training.deterministic", True),
        ("training.gradient_clip_val=null", "training.gradient_clip_val", None),
        ("training.optimizer.betas=[0.8, 0.9]", "training.optimizer.betas", [0.8, 0.9]),
        ("tags={site: two}", "tags.site", "two"),
        ("+tags.by=me", "tags.by", "me"),
        ("++tags.site=two", "tags.site", "two"),
        ("~tags.site", "tags", {}),
        ("~tags.site=one", "tags", {}),
        ("+loss_nodes.1=entropy", "loss_nodes", ["bce", "entropy"]),
        ("~pipeline.nodes.rx", "pipeline.nodes.-1.name", "channel_selector"),
        ("~pipeline.nodes.0", "pipeline.nodes.0.name", "rx"),
        ("pipeline.nodes.channel_selector.hparams.sizes.1=3", "pipeline.nodes.0.hparams.sizes", [1, 3]),
        ("data.splits.train.0.ids=['1-4']", "data.splits.train.0.ids", ["1-4"]),
        ("data.splits.train[0].ids[1]=9", "data.splits.train.0.ids", [0, 9, 3]),
        ("training.scheduler.name=cosine", "training.scheduler.name", "cosine"),
        ("training.callbacks.checkpoint.save_top_k=1", "training.callbacks.checkpoint.save_top_k", 1),
        ("+pipeline.nodes.rx.params.eps=1", "pipeline.nodes.1.hparams.eps", 1),
        ("data=san_diego_scene", "data.data_module", "scene"),
        ("data/san_diego@data=null", "data.data_module", None),
        ("~data", "data", None),
        ("output_dir=out/${name}", "output_dir", "out/mine"),
        ("training=null", "training", None),
    ],
)
def test_hydras_grammar(change: Change, override: str, place: str, value: Any) -> None:
    if value is None and place.startswith("data"):
        with pytest.raises((ConfigInvalid, DocumentInvalid)):
            change(override)
        return

    found: Any = change(override)
    for part in place.split("."):
        found = found[int(part)] if isinstance(found, list) else found[part]
    assert found == value


def test_overrides_apply_in_order(change: Change) -> None:
    assert change("name=a", "name=b", "training.max_epochs=3", "data=san_diego", "data.batch_size=7")["name"] == "b"


def test_keys_are_taken_with_and_without_the_documents_package(compose: Resolve) -> None:
    training = compose("training", "training/default", "max_epochs=3", "training.seed=7", "training.trainer.devices=2")

    assert (training["max_epochs"], training["seed"], training["devices"]) == (3, 7, 2)


def test_a_key_that_the_model_knows_may_be_set_although_the_file_leaves_it_out(change: Change) -> None:
    trainrun = change("data.num_workers=2", "training.limit_train_batches=0.5", "pipeline.metadata.name=Mine")

    assert trainrun["data"]["num_workers"] == 2
    assert trainrun["training"]["limit_train_batches"] == 0.5
    assert trainrun["pipeline"]["metadata"]["name"] == "Mine"


def test_a_path_replaces_the_pipeline(compose: Resolve) -> None:
    trainrun = compose("trainrun", "trainrun/default_statistical", "pipeline=../pipeline/san_diego/rx.yaml")

    assert trainrun["pipeline"] == "../pipeline/san_diego/rx.yaml"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "training.max_epoch=3",
            "Could not override 'training.max_epoch': there is no such key.\nTo append to your config",
        ),
        ("pipeline.nodes.channel_selector.hparams.tau_strat=1", "To append to your config use +pipeline.nodes."),
        ("pipeline.nodes.nope.hparams.x=1", "no item is named 'nope'; there are ['channel_selector', 'rx']"),
        ("pipeline.nodes.7.hparams.x=1", "there is no item 7; there are 2"),
        ("+tags.site=two", "Could not append to config. An item is already at 'tags.site'"),
        ("~tags.nope", "Could not delete from config. 'tags.nope' does not exist."),
        ("~tags.site=two", "Could not delete from config. The value of 'tags.site' is one and not two."),
        ("name.first=x", "'name' is 'mine', which has no 'first'"),
        ("name", "missing EQUAL at '<EOF>'"),
        ("na me=x", "override 'na me=x'"),
        ("training.max_epochs=1,2", "it stands for several values"),
        ("training.max_epochs=range(1,3)", "it stands for several values"),
        ("nothing@here=x", "there is no config group 'nothing'"),
        ("data=nope", "Could not find 'data/nope'"),
        ("training.max_epochs=" + "1" * 70_000, "longer than 65536 characters"),
    ],
)
def test_overrides_that_are_refused(change: Change, override: str, message: str) -> None:
    with pytest.raises(ConfigInvalid) as refused:
        change(override)

    assert refused.value.message.startswith("Config resolution failed: ")
    assert message in refused.value.message


def test_a_document_is_not_replaced_whole(compose: Resolve, write: Write) -> None:
    write("mine/fast.yaml", "training:\n  max_epochs: 3")

    with pytest.raises(ConfigInvalid, match="it would replace the whole document"):
        compose("training", "fast", "training=null", search_paths=("mine",))


def test_too_many_overrides(change: Change) -> None:
    with pytest.raises(ConfigInvalid, match="1001 overrides, more than 1000"):
        change(*["name=x"] * 1001)


def test_a_value_out_of_range_is_told_in_pydantics_words(change: Change) -> None:
    with pytest.raises(DocumentInvalid, match=r"1 validation error for TrainRunConfig\ntraining.max_epochs\n"):
        change("training.max_epochs=0")


@pytest.mark.parametrize(
    ("value", "character", "quoted"),
    [
        ("Prüfung.npz", "ü", "'Prüfung.npz'"),
        ("a #1.npz", "#", "'a #1.npz'"),
        ("scene[1].npz", "[", "'scene[1].npz'"),
        ("a=b", "=", "'a=b'"),
        ("it's", "'", "'it\\'s'"),
    ],
)
def test_a_value_that_cannot_be_read_comes_with_the_way_to_quote_it(value: str, character: str, quoted: str) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        read([f"data.params.path={value}"])
    assert f"text that holds {character!r} is written in quotes: data.params.path={quoted}" in str(caught.value)
    (override,) = read([f"data.params.path={quoted}"])
    assert override.value() == value
