"""A plugin written for the reference's base classes, over the wire: fitted, calibrated, saved, restored, profiled.

Its base classes are the reference's own where SWATH_REFERENCE names a folder that holds its packages (site-packages of
an environment with cuvis-ai-core), and otherwise such as the contract describes them.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import torch

from swath.client import Client, build_stub, numpy_to_proto, proto_to_numpy
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath_standalone.process import ServerProcess

PLUGIN = Path(__file__).parent / "field_plugin"
STACK = "data/field/stack.npz"
BANDS = 3
CLASSES = ("Labels", "Centre", "Gain", "Distance", "Cutoff", "Silent", "Flatness")
MANIFEST = {
    "name": "field",
    "path": str(PLUGIN),
    "capabilities": [
        *({"class_name": f"field_nodes.nodes.{name}", "kind": "node"} for name in CLASSES),
        {"class_name": "field_nodes.frames.Stack", "kind": "data_module", "data_module_name": "field_stack"},
    ],
}


def _node(name: str, class_name: str, **hparams: Any) -> dict[str, Any]:
    return {"name": name, "class_name": f"field_nodes.nodes.{class_name}", "hparams": hparams}


PIPELINE = {
    "plugins": ["field"],
    "nodes": [
        _node("labels", "Labels"),
        _node("gain", "Gain", channels=BANDS),
        _node("centre", "Centre", channels=BANDS),
        _node("distance", "Distance", channels=BANDS),
        _node("cutoff", "Cutoff"),
        _node("flat", "Flatness"),
    ],
    "connections": [
        {"source": "gain.outputs.scaled", "target": "centre.inputs.cube"},
        {"source": "centre.outputs.centred", "target": "distance.inputs.data"},
        {"source": "distance.outputs.logits", "target": "cutoff.inputs.logits"},
        {"source": "distance.outputs.logits", "target": "flat.inputs.logits"},
    ],
    "metadata": {"name": "Field pipeline"},
}


def _stack() -> tuple[np.ndarray, np.ndarray]:
    """Six frames of 4 x 4 x 3; the last two have a bright pixel that is labelled."""
    cubes = np.random.default_rng(3).random((6, 4, 4, BANDS)).astype(np.float32)
    masks = np.zeros((6, 4, 4), np.int32)
    for frame in (4, 5):
        cubes[frame, 1, 2] = 9.0
        masks[frame, 1, 2] = 1
    # One frame of the validation split is normal.
    cubes[4], masks[4] = cubes[3], masks[3]
    return cubes, masks


CUBES, MASKS = _stack()
TRAIN, VAL = CUBES[:4], CUBES[4:]
GAIN = 1 / TRAIN.max()
MEAN = (TRAIN * GAIN).reshape(-1, BANDS).mean(axis=0)


def _expected_logits(cube: np.ndarray) -> np.ndarray:
    return ((cube * GAIN - MEAN) ** 2).sum(axis=-1, keepdims=True)


@pytest.fixture(scope="module")
def allowing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server whose operator allows the plugin, with its frames in the workspace."""
    state = tmp_path_factory.mktemp("field")
    environment = {"SWATH_PLUGINS": str(PLUGIN)}
    if reference := os.environ.get("SWATH_REFERENCE"):
        environment["PYTHONPATH"] = reference
    with ServerProcess(state, environment=environment) as running:
        content = io.BytesIO()
        np.savez(content, cubes=CUBES, masks=MASKS)
        with Client(running.target) as client:
            client.workspace.put(content.getvalue(), STACK)
        yield running


@pytest.fixture(scope="module")
def stub(allowing: ServerProcess):
    """The generated stub, as other people's clients use it."""
    return build_stub(allowing.target)


@pytest.fixture
def new_session(stub):
    """Makes sessions that have registered the plugin."""
    made: list[str] = []

    def make(manifest: dict | None = MANIFEST) -> str:
        made.append(stub.CreateSession(pb.CreateSessionRequest()).session_id)
        if manifest is not None:
            content = pb.PluginManifest(config_bytes=json.dumps(manifest).encode())
            answer = stub.LoadPlugin(pb.LoadPluginRequest(session_id=made[-1], manifest=content))
            assert (answer.registered_plugin, answer.error) == (manifest["name"], "")
        return made[-1]

    yield make
    for session in made:
        stub.CloseSession(pb.CloseSessionRequest(session_id=session))


@pytest.fixture
def load(stub):
    """Loads a pipeline into a session."""

    def call(session: str, document: dict = PIPELINE) -> str:
        content = pb.PipelineConfig(config_bytes=json.dumps(document).encode())
        stub.LoadPipeline(pb.LoadPipelineRequest(session_id=session, pipeline=content, data_module="field_stack"))
        return session

    return call


def _run(source: str = STACK, kind: str = "file_indices", **fields: Any) -> dict[str, Any]:
    """A run config over the stack; its selectors spell the path as given."""

    def frames(*ids: int) -> list[dict[str, Any]]:
        return [{"kind": kind, "source": source, "ids": list(ids)}]

    splits = {"train": frames(0, 1, 2, 3), "val": frames(4, 5)}
    data = {"data_module": "field_stack", "batch_size": 2, "splits": splits, "params": {"stack_path": STACK}}
    return {"name": "field run", "data": data, **fields}


@pytest.fixture
def train(stub):
    """Sets a run config and trains a session; returns the stream."""

    def call(session: str, trainer: Any = pb.TRAINER_TYPE_STATISTICAL, config: dict | None = None):
        content = pb.TrainRunConfig(config_bytes=json.dumps(config or _run()).encode())
        stub.SetTrainRunConfig(pb.SetTrainRunConfigRequest(session_id=session, config=content))
        return list(stub.Train(pb.TrainRequest(session_id=session, trainer_type=trainer)))

    return call


@pytest.fixture
def infer(stub):
    """Runs inference on cubes in a session; returns the outputs as arrays."""

    def call(session: str, cube: np.ndarray, *outputs: str) -> dict[str, np.ndarray]:
        batch = pb.InputBatch(cube=numpy_to_proto(cube))
        answer = stub.Inference(pb.InferenceRequest(session_id=session, inputs=batch, output_specs=outputs))
        return {name: proto_to_numpy(tensor) for name, tensor in answer.outputs.items()}

    return call


@pytest.fixture
def fitted(new_session, load, train) -> str:
    """A session whose pipeline is fitted and calibrated."""
    session = load(new_session())
    assert train(session)[-1].status == pb.TRAIN_STATUS_COMPLETE
    return session


def test_a_fit_and_a_calibration_give_the_numbers_that_arithmetic_gives(fitted, infer):
    outputs = infer(fitted, VAL)
    np.testing.assert_allclose(outputs["distance.logits"], _expected_logits(VAL), rtol=1e-4, atol=1e-6)
    assert outputs["gain.frames"].tolist() == [4]
    np.testing.assert_array_equal(outputs["cutoff.decisions"][..., 0], MASKS[4:] != 0)


def test_a_calibration_reports_the_threshold_before_and_after(new_session, load, train):
    session = load(new_session())
    events = [message.event for message in train(session) if message.HasField("event")]
    (outcome,) = [event.calibration for event in events if event.hook == pb.TRAIN_HOOK_CALIBRATION_END]
    logits, labels = _expected_logits(VAL)[..., 0], MASKS[4:] != 0
    (decider,) = outcome.deciders
    assert (decider.name, decider.class_name) == ("cutoff", "Cutoff")
    assert decider.status == pb.DECIDER_CALIBRATION_STATUS_CALIBRATED
    assert decider.thresholds["threshold"].before == 0.0
    middle = (logits[~labels].max() + logits[labels].min()) / 2
    assert decider.thresholds["threshold"].after == pytest.approx(middle, rel=1e-4)
    assert decider.metrics["f1"] == 1.0


def test_a_decider_without_a_report_is_skipped_as_such(new_session, load, train):
    nodes = [
        _node("cutoff", "Silent", threshold=2.5) if each["name"] == "cutoff" else each for each in PIPELINE["nodes"]
    ]
    session = load(new_session(), {**PIPELINE, "nodes": nodes})
    events = [message.event for message in train(session) if message.HasField("event")]
    (outcome,) = [event.calibration for event in events if event.hook == pb.TRAIN_HOOK_CALIBRATION_END]
    assert [(each.skip, each.thresholds_present) for each in outcome.deciders] == [(pb.DECIDER_SKIP_NO_REPORT, True)]


def test_a_class_that_needs_no_fit_to_compute_computes_before_one(new_session, load, infer):
    document = {"plugins": ["field"], "nodes": [_node("gain", "Gain", channels=BANDS)], "connections": []}
    outputs = infer(load(new_session(), document), CUBES)
    np.testing.assert_array_equal(outputs["gain.scaled"], CUBES)
    assert outputs["gain.frames"].tolist() == [0]


def test_a_class_that_needs_a_fit_says_so_itself(new_session, load, infer):
    with pytest.raises(grpc.RpcError) as caught:
        infer(load(new_session()), CUBES)
    assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert "Node 'centre' (Centre) is not fitted" in str(caught.value.details())
    assert "requires statistical_initialization()" in str(caught.value.details())


@pytest.mark.parametrize("spelling", ["{stack}", "./data/../{stack}", "{root}/{stack}"])
def test_selectors_may_spell_a_path_as_they_like(allowing, new_session, load, train, infer, spelling):
    source = spelling.format(stack=STACK, root=allowing.state / "workspace")
    session = load(new_session())
    assert train(session, config=_run(source))[-1].status == pb.TRAIN_STATUS_COMPLETE
    np.testing.assert_allclose(infer(session, VAL)["distance.logits"], _expected_logits(VAL), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "selector",
    [
        {"kind": "files", "paths": [f"./{STACK}"]},
        {"kind": "glob", "pattern": "data/field/*.npz"},
        {"kind": "glob", "pattern": "st?ck"},
        {"kind": "union", "of": [{"kind": "files", "paths": [STACK]}, {"kind": "glob", "pattern": "./data/*/st*.npz"}]},
    ],
    ids=["files", "glob of a path", "glob of a stem", "union"],
)
def test_whole_files_are_chosen_by_any_spelling_too(new_session, load, train, infer, selector):
    config = _run()
    config["data"]["splits"] = {"train": [selector]}
    session = load(new_session())
    assert train(session, config=config)[-1].status == pb.TRAIN_STATUS_COMPLETE
    assert infer(session, VAL)["gain.frames"].tolist() == [6]


def test_a_splits_file_may_spell_it_otherwise(allowing, new_session, load, train, infer):
    config = _run()
    splits = json.dumps(config["data"].pop("splits")).encode()
    with Client(allowing.target) as client:
        client.workspace.put(splits, "data/field/splits.json")
    config["data"]["splits"] = {"splits_path": "data/field/splits.json"}
    session = load(new_session())
    assert train(session, config=config)[-1].status == pb.TRAIN_STATUS_COMPLETE
    assert infer(session, VAL)["gain.frames"].tolist() == [4]


def test_another_file_is_still_no_source(new_session, load, train):
    with pytest.raises(grpc.RpcError) as caught:
        train(load(new_session()), config=_run("data/field/other.npz"))
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "file_indices" in str(caught.value.details())


def _weights_of(saved: pb.SavePipelineResponse) -> dict[str, dict[str, torch.Tensor]]:
    return torch.load(saved.weights_path, weights_only=True)["state_dict"]


def _bytes(content: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


@pytest.fixture
def saved(stub, fitted) -> pb.SavePipelineResponse:
    """The fitted pipeline in files."""
    return stub.SavePipeline(pb.SavePipelineRequest(session_id=fitted, pipeline_path=f"{fitted}.yaml"))


def test_saved_weights_have_the_class_s_own_keys(saved):
    state = _weights_of(saved)
    assert set(state) == {node["name"] for node in PIPELINE["nodes"]}
    np.testing.assert_allclose(state["centre"]["mean"], MEAN, rtol=1e-4)
    assert state["labels"] == {}


def test_weights_come_back_in_a_fresh_session(stub, saved, fitted, new_session, load, infer):
    session = load(new_session())
    answer = stub.LoadPipelineWeights(
        pb.LoadPipelineWeightsRequest(session_id=session, weights_path=saved.weights_path)
    )
    assert answer.success
    expected, again = infer(fitted, CUBES), infer(session, CUBES)
    for name in ("distance.logits", "gain.frames"):
        np.testing.assert_array_equal(again[name], expected[name])


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda state: state["centre"].update(median=torch.zeros(3)), "median"),
        (lambda state: state.update(other={"a": torch.zeros(1)}), "other is no node of the pipeline"),
        (lambda state: state.pop("centre"), "centre is missing"),
    ],
    ids=["a key too many", "an unknown node", "a node missing"],
)
def test_strict_names_what_does_not_match_and_otherwise_it_is_passed_over(
    stub, saved, new_session, load, flat, change, words
):
    state = _weights_of(saved)
    change(state)
    if flat:
        content = _bytes({f"{name}.{key}": value for name, entry in state.items() for key, value in entry.items()})
    else:
        content = _bytes({"state_dict": state})
    session = load(new_session())
    with pytest.raises(grpc.RpcError) as caught:
        stub.LoadPipelineWeights(pb.LoadPipelineWeightsRequest(session_id=session, weights_bytes=content))
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert words in str(caught.value.details())
    request = pb.LoadPipelineWeightsRequest(session_id=session, weights_bytes=content, strict=False)
    assert stub.LoadPipelineWeights(request).success


def test_a_saved_run_comes_back_in_a_fresh_session_with_its_threshold(stub, fitted, new_session, infer):
    saved = stub.SaveTrainRun(
        pb.SaveTrainRunRequest(session_id=fitted, trainrun_path=f"runs/{fitted}.yaml", save_weights=True)
    )
    session = new_session()
    restored = stub.RestoreTrainRun(
        pb.RestoreTrainRunRequest(
            trainrun_path=saved.trainrun_path, weights_path=saved.weights_path, session_id=session
        )
    )
    assert restored.session_id == session
    assert json.loads(restored.trainrun.config_bytes)["name"] == "field run"
    outputs = infer(session, VAL)
    np.testing.assert_array_equal(outputs["cutoff.decisions"][..., 0], MASKS[4:] != 0)
    np.testing.assert_allclose(outputs["distance.logits"], _expected_logits(VAL), rtol=1e-4, atol=1e-6)


def test_a_saved_run_needs_its_plugin_in_the_session(stub, fitted, new_session):
    saved = stub.SaveTrainRun(pb.SaveTrainRunRequest(session_id=fitted, trainrun_path=f"runs/{fitted}-bare.yaml"))
    with pytest.raises(grpc.RpcError) as caught:
        stub.RestoreTrainRun(pb.RestoreTrainRunRequest(trainrun_path=saved.trainrun_path, session_id=new_session(None)))
    assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert "['field']" in str(caught.value.details())


def test_a_session_without_a_run_config_is_saved_and_restored(stub, new_session, load):
    session = load(new_session())
    saved = stub.SaveTrainRun(
        pb.SaveTrainRunRequest(session_id=session, trainrun_path=f"runs/{session}.yaml", save_weights=True)
    )
    again = new_session()
    restored = stub.RestoreTrainRun(pb.RestoreTrainRunRequest(trainrun_path=saved.trainrun_path, session_id=again))
    config = json.loads(restored.trainrun.config_bytes)
    assert config["name"] == "Field pipeline"
    assert (config["loss_nodes"], config["output_dir"], config["tags"]) == ([], "./outputs", {})


def test_gradients_reach_parameters_and_unfrozen_buffers(stub, fitted, train, infer):
    training = {"max_epochs": 2, "optimizer": {"name": "sgd", "lr": 0.1}}
    config = _run(loss_nodes=["flat"], unfreeze_nodes=["centre", "distance"], training=training)
    assert train(fitted, pb.TRAINER_TYPE_GRADIENT, config)[-1].status == pb.TRAIN_STATUS_COMPLETE
    saved = stub.SavePipeline(pb.SavePipelineRequest(session_id=fitted, pipeline_path=f"{fitted}-trained.yaml"))
    state = _weights_of(saved)
    assert not np.allclose(state["centre"]["mean"], MEAN, rtol=1e-6)
    weight = state["distance"]["weight"].item()
    # The loss grows with the weight, so gradient descent makes it smaller.
    assert weight < 1.0
    logits = weight * ((VAL * GAIN - state["centre"]["mean"].numpy()) ** 2).sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(infer(fitted, VAL)["distance.logits"], logits, rtol=1e-4, atol=1e-6)


def test_nodes_of_a_plugin_are_profiled_by_name(stub, fitted, infer):
    assert stub.SetProfiling(pb.SetProfilingRequest(session_id=fitted, enabled=True)).profiling_enabled
    for _ in range(3):
        infer(fitted, VAL)
    stats = stub.GetProfilingSummary(pb.GetProfilingSummaryRequest(session_id=fitted)).node_stats
    # Losses do not run at inference.
    assert {each.node_name: each.count for each in stats} == dict.fromkeys(
        ("labels", "gain", "centre", "distance", "cutoff"), 3
    )


def test_outputs_are_chosen_by_full_or_bare_name_and_unknown_ones_are_passed_over(fitted, infer):
    assert set(infer(fitted, VAL, "logits")) == {"distance.logits"}
    assert set(infer(fitted, VAL, "cutoff.decisions", "none")) == {"cutoff.decisions"}
    assert infer(fitted, VAL, "none") == {}


def test_ports_of_a_plugin_s_nodes_have_their_sizes(stub, new_session, load):
    session = load(new_session())
    inputs = stub.GetPipelineInputs(pb.GetPipelineInputsRequest(session_id=session)).input_specs
    outputs = stub.GetPipelineOutputs(pb.GetPipelineOutputsRequest(session_id=session)).output_specs
    assert (list(inputs["cube"].shape), inputs["cube"].required) == ([-1, -1, -1, BANDS], True)
    assert inputs["mask"].required is False
    assert set(outputs) == {"labels.mask", "gain.frames", "cutoff.decisions", "flat.loss"}
