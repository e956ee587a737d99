"""What each call sends, and what becomes of its answer. No server is asked here."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from swath.client import CodecError, LocalError, Outputs, Saved, SearchPaths, calls, numpy_to_proto
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb

CUBE = np.zeros((1, 2, 2, 3), np.float32)


class TestInfer:
    def test_known_inputs_have_fields_of_their_own_and_others_go_by_name(self) -> None:
        request = calls.infer("s1", {"cube": CUBE, "frame_id": np.array([7]), "prior": np.ones(2)}, ()).request
        assert list(request.inputs.cube.shape) == [1, 2, 2, 3]
        assert request.inputs.frame_id.raw_data == np.array([7]).tobytes()
        assert list(request.inputs.extra_inputs) == ["prior"]
        assert request.session_id == "s1"

    def test_an_input_that_is_none_is_left_out(self) -> None:
        request = calls.infer("s1", {"cube": CUBE, "wavelengths": None, "prior": None}, ()).request
        assert not request.inputs.HasField("wavelengths")
        assert not request.inputs.extra_inputs

    def test_outputs_and_prompt_go_along(self) -> None:
        request = calls.infer("s1", {}, ["rx.scores", "mask"], "a ship").request
        assert list(request.output_specs) == ["rx.scores", "mask"]
        assert request.inputs.text_prompt == "a ship"

    def test_an_array_without_a_form_on_the_wire_is_not_sent(self) -> None:
        with pytest.raises(CodecError, match="complex128"):
            calls.infer("s1", {"cube": np.zeros(1, complex)}, ())

    def test_the_answer_holds_arrays_by_port_and_numbers_beside_them(self) -> None:
        reply = pb.InferenceResponse(metrics={"loss": 0.5})
        reply.outputs["rx.scores"].CopyFrom(numpy_to_proto(np.array([1.0, 2.0])))
        outputs = calls.infer("s1", {}, ()).read(reply)
        assert outputs["rx.scores"].tolist() == [1.0, 2.0]
        assert type(outputs["rx.scores"]) is np.ndarray
        assert outputs.metrics == {"loss": 0.5}

    def test_arrays_of_an_answer_may_be_written_to(self) -> None:
        reply = pb.InferenceResponse()
        reply.outputs["rx.scores"].CopyFrom(numpy_to_proto(np.zeros(2)))
        scores = calls.infer("s1", {}, ()).read(reply)["rx.scores"]
        scores[0] = 3
        assert scores.tolist() == [3.0, 0.0]


class TestOnly:
    OUTPUTS = Outputs({"rx.scores": np.array([1]), "lad.scores": np.array([2]), "rx.mask": np.array([3])})

    @pytest.mark.parametrize(("port", "value"), [("rx.scores", 1), ("lad.scores", 2), ("mask", 3)])
    def test_a_full_name_or_one_that_is_unique_finds_its_array(self, port: str, value: int) -> None:
        assert self.OUTPUTS.only(port).tolist() == [value]

    @pytest.mark.parametrize("port", ["scores", "nothing", "cores", "rx"])
    def test_none_and_several_are_refused_with_what_there_is(self, port: str) -> None:
        with pytest.raises(LocalError, match=r"expected one output .*\['lad.scores', 'rx.mask', 'rx.scores'\]"):
            self.OUTPUTS.only(port)

    def test_an_answer_without_outputs_says_so(self) -> None:
        with pytest.raises(LocalError, match="the server sent none"):
            Outputs().only("scores")


@pytest.mark.parametrize(
    ("phase", "code"),
    [
        ("statistical", pb.TRAINER_TYPE_STATISTICAL),
        ("gradient", pb.TRAINER_TYPE_GRADIENT),
        ("calibration", pb.TRAINER_TYPE_CALIBRATION),
    ],
)
def test_a_phase_is_a_trainer(phase: str, code: int) -> None:
    request = calls.train("s1", phase, None, None)
    assert request.trainer_type == code
    assert not request.HasField("data")
    assert not request.HasField("training")


def test_sections_of_the_trainrun_can_be_replaced_for_one_run() -> None:
    request = calls.train("s1", "gradient", {"batch_size": 2}, {"max_epochs": 3})
    assert json.loads(request.data.config_bytes) == {"batch_size": 2}
    assert json.loads(request.training.config_bytes) == {"max_epochs": 3}


def test_a_phase_that_is_none_is_refused_before_any_call() -> None:
    with pytest.raises(LocalError, match="no training phase 'warmup'; there are statistical, gradient, calibration"):
        calls.train("s1", "warmup", None, None)


@pytest.mark.parametrize(("config", "sent"), [({"name": "run"}, b'{"name": "run"}'), (b"{}", b"{}")])
def test_configs_go_as_json_and_bytes_as_they_are(config: Any, sent: bytes) -> None:
    assert calls.set_run_config("s1", config).request.config.config_bytes == sent
    assert calls.load_pipeline("s1", config, "").request.pipeline.config_bytes == sent
    assert calls.load_plugin("s1", config).request.manifest.config_bytes == sent


def test_weights_are_sent_or_named() -> None:
    sent = calls.load_weights("s1", b"PK", True).request
    named = calls.load_weights("s1", "runs/rx.pt", False).request
    assert (sent.WhichOneof("weights_source"), sent.weights_bytes, sent.strict) == ("weights_bytes", b"PK", True)
    assert (named.WhichOneof("weights_source"), named.weights_path) == ("weights_path", "runs/rx.pt")
    assert not named.strict


@pytest.mark.parametrize(
    ("kind", "path", "asked"),
    [
        ("trainrun", "rx", "trainrun/rx"),
        ("trainrun", "trainrun/rx", "trainrun/rx"),
        ("trainrun", "/srv/rx", "/srv/rx"),
        ("pipeline", "rx", "rx"),
    ],
)
def test_trainruns_are_looked_for_in_their_group(kind: str, path: str, asked: str) -> None:
    call = calls.resolve("s1", kind, path, ["a=1"])
    assert (call.request.config_type, call.request.path, list(call.request.overrides)) == (kind, asked, ["a=1"])
    assert call.read(pb.ResolveConfigResponse(config_bytes=b'{"a": 1}')) == {"a": 1}


def test_search_paths_are_all_groups_unless_some_are_named() -> None:
    assert list(calls.search_paths("s1", None, False).request.search_paths) == [
        ".",
        "trainrun",
        "pipeline",
        "data",
        "training",
    ]
    call = calls.search_paths("s1", ["mine"], True)
    assert (list(call.request.search_paths), call.request.append) == (["mine"], True)
    reply = pb.SetSessionSearchPathsResponse(current_paths=["/a", "/b"], rejected_paths=["/c"])
    assert call.read(reply) == SearchPaths(current=("/a", "/b"), rejected=("/c",))


def test_a_refused_manifest_is_an_error_of_this_side() -> None:
    call = calls.load_plugin("s1", {})
    assert call.read(pb.LoadPluginResponse(registered_plugin="mine")) == "mine"
    with pytest.raises(LocalError, match="the server refused the manifest: no name"):
        call.read(pb.LoadPluginResponse(error="no name"))


def test_a_saved_run_names_its_three_files() -> None:
    reply = pb.SaveTrainRunResponse(trainrun_path="a.yaml", pipeline_path="a_pipeline.yaml", weights_path="a.pt")
    assert calls.save_trainrun("s1", "a.yaml", True).read(reply) == Saved("a_pipeline.yaml", "a.pt", "a.yaml")


@pytest.mark.parametrize(("weights", "named"), [(None, False), ("a.pt", True)])
def test_a_restored_run_takes_the_weights_beside_it_unless_some_are_named(weights: str | None, named: bool) -> None:
    call = calls.restore("a.yaml", weights, True, "")
    assert call.request.HasField("weights_path") is named
    reply = pb.RestoreTrainRunResponse(session_id="s2", trainrun=pb.TrainRunConfig(config_bytes=b'{"name": "a"}'))
    assert call.read(reply) == ("s2", {"name": "a"})
    assert call.read(pb.RestoreTrainRunResponse(session_id="s2")) == ("s2", {})


@pytest.mark.parametrize(("tag", "asked"), [("", False), ("rx", True)])
def test_pipelines_are_filtered_only_where_a_tag_is_given(tag: str, asked: bool) -> None:
    assert calls.list_pipelines(tag).request.HasField("filter_tag") is asked


def test_drawings_are_of_a_session_or_of_a_document() -> None:
    assert calls.visualization("s1", "svg", "").request.session_id == "s1"
    assert calls.visualization("", "dot", "nodes: []").request.config_content == "nodes: []"


def test_a_log_is_read_on_after_a_line() -> None:
    request = calls.read_logs("run-1", 7, True)
    assert (request.run_id, request.after, request.follow) == ("run-1", 7, True)
