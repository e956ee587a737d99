"""How names find classes, and what arguments they take."""

import importlib
import subprocess
import sys

import pytest
import torch

from swath.engine.graph import registry
from swath.engine.graph.ports import ANY, Kind
from swath.engine.nodes.anomaly.rx_detector import RXGlobal
from swath.engine.nodes.channel_selector import NDVISelector
from swath.errors import GraphInvalid


@pytest.mark.parametrize(
    "name",
    [
        "RXGlobal",
        "cuvis_ai.node.anomaly.rx_detector.RXGlobal",
        "swath.engine.nodes.anomaly.rx_detector.RXGlobal",
        "cuvis_ai.node.moved_elsewhere.RXGlobal",
    ],
)
def test_a_class_has_several_names(name):
    assert registry.lookup(name) is RXGlobal


@pytest.mark.parametrize("name", ["some_plugin.RXGlobal", "", "cuvis_ai.node.anomaly.rx_detector._moments", "Fittable"])
def test_other_names_find_nothing(name):
    with pytest.raises(GraphInvalid, match="Unknown node class"):
        registry.lookup(name)


def test_every_class_of_the_catalogue_is_found_by_its_path():
    for entry in registry.catalogue():
        assert registry.lookup(entry.full_path).__name__ == entry.class_name
        assert entry.description
        for port in (*entry.inputs.values(), *entry.outputs.values()):
            assert isinstance(port.dtype, torch.dtype | Kind)


def test_the_first_calls_may_come_together():
    """In a fresh process, where all of them find nothing imported yet; threads change places as often as can be."""
    program = """
import sys, threading
from swath.engine.graph import registry
sys.setswitchinterval(1e-6)
together, found = threading.Barrier(8), []
def look():
    together.wait()
    found.append(registry.classes())
threads = [threading.Thread(target=look) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert len(found) == 8 and all(each is found[0] for each in found), len(found)
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_every_path_can_be_imported_from_here():
    for entry in registry.catalogue():
        module, _, name = entry.full_path.replace(registry.REFERENCE, registry.PACKAGE, 1).rpartition(".")
        assert getattr(importlib.import_module(module), name) is registry.lookup(entry.full_path)


def test_a_class_goes_by_the_package_that_exports_it():
    assert NDVISelector.__module__ == "swath.engine.nodes.channel_selector.differences"
    assert registry.full_path(NDVISelector) == "cuvis_ai.node.channel_selector.NDVISelector"


def test_the_catalogue_tells_ports_category_and_tags():
    entries = {entry.class_name: entry for entry in registry.catalogue()}
    assert entries["RXGlobal"].category == "model"
    assert "anomaly" in entries["RXGlobal"].tags
    assert entries["CU3SDataNode"].inputs["cube"].dtype is ANY
    assert entries["TensorBoardMonitorNode"].inputs["metrics"].variadic


def test_unknown_hparams_are_refused_with_those_that_are_taken():
    with pytest.raises(GraphInvalid, match=r"Node 'rx' \(RXGlobal\) does not take 'gamma'; it takes num_channels, eps"):
        registry.create("RXGlobal", "rx", {"num_channels": 3, "gamma": 1})


@pytest.mark.parametrize(
    ("name", "hparams"),
    [
        ("ZScoreNormalizerGlobal", {"num_channels": 3, "hidden": 128}),
        ("DeepSVDDScores", {"name": None}),
        ("RXGlobal", {"num_channels": 3, "execution_stages": None}),
    ],
)
def test_what_older_documents_carry_is_dropped(name, hparams):
    node = registry.create(name, "node", hparams)
    assert set(node.hparams).isdisjoint({"hidden", "name", "execution_stages"})


def test_stages_are_not_an_argument():
    with pytest.raises(GraphInvalid, match="execution_stages is declared on the class"):
        registry.create("RXGlobal", "rx", {"num_channels": 3, "execution_stages": ["train"]})


@pytest.mark.parametrize(
    ("name", "hparams", "words"),
    [
        ("RXGlobal", {}, "num_channels"),
        ("RXGlobal", {"num_channels": 0}, "at least 1"),
        ("RXGlobal", {"num_channels": "many"}, "whole number"),
        ("SoftChannelSelector", {"n_select": 5, "input_channels": 4}, "more than the 4 input channels"),
        ("QuantileBinaryDecider", {"quantile": 1.5}, "within 0 and 1"),
        ("DeepSVDDProjection", {"in_channels": 3, "kernel": "cubic"}, "linear, rbf"),
        ("LentilsAnomalyDataNode", {"normal_class_ids": [0], "anomaly_class_ids": [0]}, "both"),
        ("AnomalyBCEWithLogits", {"reduction": "none"}, "mean, sum"),
    ],
)
def test_arguments_that_a_class_refuses_name_the_node(name, hparams, words):
    with pytest.raises(GraphInvalid, match=f"Node 'it' .*{words}"):
        registry.create(name, "it", hparams)


def test_hparams_show_every_argument():
    node = registry.create("RXGlobal", "rx", {"num_channels": 3})
    assert node.hparams == {"num_channels": 3, "eps": 1e-6, "cache_inverse": True}


def test_arguments_of_a_parent_follow_those_of_the_class():
    node = registry.create("SupervisedCIRSelector", "it", {"num_spectral_bands": 9, "norm_mode": "per_frame"})
    assert list(node.hparams)[:5] == ["windows", "score_weights", "lambda_penalty", "num_spectral_bands", "norm_mode"]
    assert (node.hparams["num_spectral_bands"], node.hparams["norm_mode"]) == (9, "per_frame")


def test_a_missing_argument_of_a_parent_is_named():
    with pytest.raises(GraphInvalid, match="num_spectral_bands"):
        registry.create("SupervisedCIRSelector", "it", {})


def test_random_initial_values_are_the_same_wherever_a_document_is_built():
    hparams = {"in_channels": 4, "rep_dim": 2, "hidden": 3}
    torch.manual_seed(1)
    first = registry.create("DeepSVDDProjection", "p", hparams).state()
    torch.manual_seed(2)
    before = torch.get_rng_state()
    second = registry.create("DeepSVDDProjection", "p", hparams).state()
    other = registry.create("DeepSVDDProjection", "q", hparams).state()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not torch.equal(first["net.fc1.weight"], other["net.fc1.weight"])
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    "channels",
    [10**6, 2**31, float("inf"), float("nan"), 10**400],
    ids=["million", "2^31", "inf", "nan", "10^400"],
)
def test_a_size_that_no_machine_holds_is_refused(channels) -> None:
    with pytest.raises(GraphInvalid, match="num_channels"):
        registry.create("RXGlobal", "rx", {"num_channels": channels})
