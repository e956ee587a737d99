"""Triton's client as it is, against published models."""

import numpy as np
import pytest


def _same(found, scores):
    assert (found.shape, found.dtype, found.tobytes()) == (scores.shape, scores.dtype, scores.tobytes())


def test_it_finds_what_there_is(run, deployment):
    facts, _ = run("triton", "about")
    assert [facts[key] for key in ("live", "ready", "model", "version", "other")] == [True, True, True, True, False]
    assert facts["server"]["name"] == "swath"
    assert ("system_shared_memory" in facts["server"]["extensions"]) is (deployment.replicas == 1)
    assert "cuda_shared_memory" not in facts["server"]["extensions"]
    inputs = {each["name"]: each for each in facts["metadata"]["inputs"]}
    assert inputs["cube"]["shape"] == ["-1", "-1", "-1", "-1"]
    assert inputs["wavelengths"]["datatype"] == "INT32"
    assert {"rx.scores", "decider.decisions"} <= {each["name"] for each in facts["metadata"]["outputs"]}
    assert facts["config"]["config"]["name"] == "oip-rx"
    assert {"name": "oip-rx", "version": "1", "state": "READY"} in facts["index"]["models"]
    assert facts["logs"]["settings"]["log_error"] == {"bool_param": True}
    assert facts["traces"]["settings"]["trace_mode"] == {"value": ["opentelemetry"]}
    assert facts["unknown"][0] == "StatusCode.NOT_FOUND"
    assert facts["cuda"][0] == "StatusCode.UNIMPLEMENTED"


def test_its_answers_have_the_bits_of_the_sessions(run, scores):
    facts, found = run("triton", "infer")
    for key in ("whole", "alone", "later"):
        _same(found[key], scores)
    assert (facts["id"], facts["version"], facts["error"]) == ("a", "1", "None")
    assert facts["asked"] == ["rx.scores"]
    assert set(facts["outputs"]) > {"rx.scores", "decider.decisions"}
    flat = scores.ravel()
    order = np.argsort(-flat.astype(float), kind="stable")[:3]
    assert facts["classes"] == [f"{flat[index]:.6f}:{index}" for index in order]
    assert facts["refused"][0] in ("StatusCode.INVALID_ARGUMENT",)
    assert facts["late"][0] == "StatusCode.DEADLINE_EXCEEDED"
    [counted] = facts["statistics"]["model_stats"]
    assert (counted["name"], counted["version"]) == ("oip-rx", "1")


def test_streams(run, scores):
    facts, found = run("triton", "stream")
    assert facts["ids"] == ["0", "1", "2", None, "4"]
    assert facts["final"] == [True, True, True, None, True]
    assert [bool(each) for each in facts["errors"]] == [False, False, False, True, False]
    assert "nope" in facts["errors"][3]
    assert facts["ended"][0] == "StatusCode.NOT_FOUND", facts["ended"]
    assert "'nope' not found" in facts["ended"][1]
    _same(found["scores"], scores)


def test_its_asynchronous_form(run, scores):
    facts, found = run("triton", "asynchronous")
    assert facts["ids"] == [str(number) for number in range(16)]
    assert facts["streamed"] == ["0", "1", None, "3", "4", "5"]
    assert "nope" in facts["errors"][2]
    assert facts["refused"][0] == "StatusCode.NOT_FOUND"
    assert facts["first"] == "oip-rx"
    for each in found.values():
        _same(each, scores)


@pytest.mark.parametrize("deployment", ["standalone"], indirect=True)
def test_shared_memory(run, scores):
    facts, found = run("triton", "shared_memory")
    assert (facts["status"], facts["left"]) == (["given", "taken"], ["taken"])
    assert facts["again"][0] == "StatusCode.ALREADY_EXISTS"
    assert facts["gone"][0] == "StatusCode.NOT_FOUND"
    _same(found["found"], scores)


@pytest.mark.parametrize("deployment", ["standalone"], indirect=True)
def test_unloading_and_loading(run, scores):
    facts, found = run("triton", "repository")
    assert (facts["unloaded"], facts["loaded"]) == (False, True)
    assert facts["refused"][0] == "StatusCode.NOT_FOUND"
    entry = {"name": "oip-rx", "version": "1", "state": "UNAVAILABLE", "reason": "unloaded"}
    assert entry in facts["index"]["models"]
    assert facts["unknown"][0] == "StatusCode.NOT_FOUND"
    assert "count" not in facts["statistics"]["model_stats"][0]["inference_stats"]["success"]
    _same(found["scores"], scores)
