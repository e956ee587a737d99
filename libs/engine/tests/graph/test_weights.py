"""Weights files, and how a pipeline takes them."""

import io
import os
import pickle
from collections.abc import Callable

import pytest
import torch

from swath.engine.graph import weights
from swath.errors import WeightsInvalid

NODES = {"norm": ["MinMaxNormalizer"], "rx": ["RXGlobal", {"num_channels": 3}], "decide": ["BinaryDecider"]}
EDGES = ["norm.normalized > rx.data", "rx.scores > decide.logits"]


@pytest.fixture
def fitted(build):
    pipeline = build(NODES, EDGES)
    batch = {"data": torch.rand(2, 6, 6, 3, generator=torch.Generator().manual_seed(0))}
    for wave in pipeline.fit_waves():
        for name in wave:
            pipeline.nodes[name].begin_fit()
            pipeline.nodes[name].fit_batch(pipeline.inputs_of([name], batch)[name])
            pipeline.nodes[name].end_fit()
    return pipeline


def test_a_file_brings_back_the_same_numbers(build, fitted):
    state, metadata = weights.load(weights.dump(fitted.state(), {"name": "it"}))
    again = build(NODES, EDGES)
    again.load_state(state, strict=True)
    batch = {"data": torch.rand(1, 4, 4, 3)}
    assert metadata == {"name": "it"}
    assert again.missing_fits() == []
    assert torch.equal(again(batch)["rx.scores"], fitted(batch)["rx.scores"])


def test_the_same_state_is_the_same_file(fitted):
    assert weights.dump(fitted.state()) == weights.dump(fitted.state())


def test_nodes_without_state_have_an_empty_entry(fitted):
    assert fitted.state()["decide"] == {}


def test_a_state_does_not_change_with_the_pipeline(fitted):
    state = fitted.state()
    fitted.nodes["rx"].mu.add_(1)
    assert not torch.equal(state["rx"]["mu"], fitted.state()["rx"]["mu"])


def test_a_file_of_a_pipeline_before_its_fit_leaves_it_unfitted(build):
    state, _ = weights.load(weights.dump(build(NODES, EDGES).state()))
    pipeline = build(NODES, EDGES)
    pipeline.load_state(state, strict=True)
    assert pipeline.missing_fits() == ["norm", "rx"]


def test_a_file_of_the_reference_package_marks_its_nodes_fitted(build):
    state = {
        "norm": {"running_min": torch.tensor(0.0), "running_max": torch.tensor(1.0)},
        "rx": {"mu": torch.zeros(3), "cov": torch.eye(3), "cov_inv": torch.eye(3)},
        "decide": {},
    }
    pipeline = build(NODES, EDGES)
    pipeline.load_state(state, strict=True)
    assert pipeline({"data": torch.ones(1, 1, 1, 3)})["rx.scores"].item() == pytest.approx(3.0)


def test_calibrated_thresholds_travel_with_the_weights(build, fitted):
    scores, mask = torch.tensor([-2.0, 0.0, 2.0, 4.0]).reshape(1, 2, 2, 1), torch.tensor([0, 0, 1, 1]).reshape(1, 2, 2)
    fitted.nodes["decide"].calibrate([scores], [mask.bool()])
    placed = fitted.nodes["decide"].hparams["threshold"]
    again = build(NODES, EDGES)
    again.load_state(weights.load(weights.dump(fitted.state()))[0], strict=True)
    assert placed != 0.5
    assert again.document().nodes[2].hparams == {"threshold": placed}


FLAT = {
    "norm.running_min": torch.tensor(0.0),
    "norm.running_max": torch.tensor(1.0),
    "rx.mu": torch.zeros(3),
    "rx.cov": torch.eye(3),
    "rx.cov_inv": torch.eye(3),
}


@pytest.mark.parametrize("content", [FLAT, {"state_dict": FLAT}], ids=["bare", "below state_dict"])
def test_a_file_of_the_older_flat_form_is_read(build, content):
    state, metadata = weights.load(_saved(content))
    pipeline = build(NODES, EDGES)
    pipeline.load_state(state, strict=True)
    assert metadata == {}
    assert pipeline({"data": torch.ones(1, 1, 1, 3)})["rx.scores"].item() == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ("rx.mean", r"rx\.mean is unexpected; rx has mu, cov, cov_inv"),
        ("rxx.mu", r"rxx is no node of the pipeline \(rxx\.mu\); its nodes are norm, rx, decide"),
        ("mu", r"mu is no node of the pipeline \(mu\)"),
    ],
)
def test_a_key_of_a_flat_file_that_matches_nothing_is_named_with_what_there_is(build, extra, words):
    state, _ = weights.load(_saved({**FLAT, extra: torch.zeros(3)}))
    with pytest.raises(WeightsInvalid, match=words):
        build(NODES, EDGES).load_state(state, strict=True)
    pipeline = build(NODES, EDGES)
    pipeline.load_state(state, strict=False)
    assert pipeline.missing_fits() == []


@pytest.mark.parametrize("strict", [True, False])
def test_a_wrong_shape_is_refused(fitted, strict):
    state = fitted.state()
    state["rx"]["mu"] = torch.zeros(4)
    with pytest.raises(WeightsInvalid, match=r"rx.mu has shape \[4\], expected \[3\]"):
        fitted.load_state(state, strict=strict)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda state: state["rx"].pop("mu"), "rx.mu is missing"),
        (lambda state: state["rx"].update(more=torch.zeros(1)), "rx.more is unexpected"),
        (lambda state: state.update(other={"a": torch.zeros(1)}), "other is no node of the pipeline"),
        (lambda state: state.pop("rx"), "rx is missing"),
        (lambda state: state["decide"].update(threshold=torch.tensor([torch.nan])), "not one finite number"),
    ],
)
def test_strict_refuses_what_does_not_fit_and_changes_nothing(fitted, change, words):
    before, state = fitted.state(), fitted.state()
    change(state)
    state["norm"]["running_max"] = torch.tensor(9.0)
    with pytest.raises(WeightsInvalid, match=words):
        fitted.load_state(state, strict=True)
    assert torch.equal(fitted.state()["norm"]["running_max"], before["norm"]["running_max"])


def test_otherwise_what_fits_is_taken(build, fitted):
    state = fitted.state() | {"other": {"a": torch.zeros(1)}}
    del state["rx"]
    pipeline = build(NODES, EDGES)
    pipeline.load_state(state, strict=False)
    assert pipeline.missing_fits() == ["rx"]


def test_a_trained_pipeline_loads_into_a_frozen_one(build, fitted):
    fitted.nodes["rx"].unfreeze()
    again = build(NODES, EDGES)
    again.load_state(fitted.state(), strict=True)
    batch = {"data": torch.rand(1, 4, 4, 3)}
    with torch.no_grad():
        assert torch.allclose(again(batch)["rx.scores"], fitted(batch)["rx.scores"], rtol=1e-4)


class _Malicious:
    def __reduce__(self):
        return os.system, ("touch /tmp/swath-was-here",)


def _saved(value) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        _saved({"state_dict": {"rx": _Malicious()}}),
        pickle.dumps(_Malicious()),
        b"",
        b"no weights",
        _saved({"state_dict": {}})[:-40],
        _saved([1, 2]),
        _saved({}),
        _saved({"rx": {"mu": torch.zeros(3)}}),
        _saved({"rx.mu": torch.zeros(3), "epoch": 3}),
        _saved({"state_dict": {"rx": {"mu": 3}}}),
    ],
    ids=[
        "code in torch file",
        "plain pickle",
        "empty",
        "garbage",
        "cut off",
        "a list",
        "empty mapping",
        "no state_dict",
        "a number",
        "no tensors",
    ],
)
def test_what_is_no_weights_file_is_refused_and_runs_no_code(data, monkeypatch):
    monkeypatch.setattr(os, "system", lambda command: pytest.fail("code from the file ran"))
    with pytest.raises(WeightsInvalid):
        weights.load(data)


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor:UserWarning")
@pytest.mark.parametrize(
    "convert",
    [
        lambda plain: plain.to_sparse(),
        lambda plain: plain.to("meta"),
        lambda plain: plain.to(torch.complex64),
        lambda plain: torch.quantize_per_tensor(plain, 0.1, 0, torch.qint8),
    ],
    ids=["sparse", "meta", "complex", "quantized"],
)
def test_tensors_that_no_node_can_copy_are_refused(convert: Callable[[torch.Tensor], torch.Tensor]) -> None:
    buffer = io.BytesIO()
    torch.save({"state_dict": {"rx": {"mu": convert(torch.eye(2))}}}, buffer)
    with pytest.raises(WeightsInvalid):
        weights.load(buffer.getvalue())
