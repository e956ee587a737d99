"""Newcomers find their way with grpcurl."""

import json
import subprocess
from pathlib import Path

import pytest

PROTOS = Path(__file__).resolve().parents[2] / "protos"


@pytest.fixture(scope="module")
def ask(grpcurl, server):
    def run(*arguments: str) -> str:
        at = 0 if arguments[0] == "describe" and len(arguments) > 1 else len(arguments) - 1
        command = [grpcurl, "-plaintext", *arguments[:at], server.target, *arguments[at:]]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout

    return run


def test_list_names_every_service(ask):
    assert ask("list").split() == [
        "ExperimentService",
        "cuvis_ai.v1.CuvisAIService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
        "inference.GRPCInferenceService",
        "redhare.Inference",
        "swath.apps.v1.ApplicationService",
        "swath.inference.v1.InferenceService",
        "swath.inference.v1.SharedMemoryService",
        "swath.models.v1.ModelService",
        "swath.pipeline.v1.NodeService",
        "swath.training.v1.RunService",
        "swath.workspace.v1.WorkspaceService",
    ]


def test_describe_shows_the_methods(ask):
    text = ask("describe")
    assert text.count("rpc ") >= 28 + 6 + 1 + 1


def test_a_call_without_any_proto_file(grpcurl, server):
    command = [grpcurl, "-plaintext", "-d", "{}", server.target, "cuvis_ai.v1.CuvisAIService/CreateSession"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
    assert '"sessionId"' in answer


def test_the_open_inference_protocol_is_described_with_its_numbers(ask):
    text = ask("describe", "inference.ModelInferRequest")
    for line in ("string model_name = 1;", "repeated bytes raw_input_contents = 7;", "InferInputTensor inputs = 5;"):
        assert line in text
    assert "uint64 uint64_param = 5;" in ask("describe", "inference.InferParameter")


def test_a_call_of_the_open_inference_protocol_without_any_proto_file(grpcurl, server):
    command = [grpcurl, "-plaintext", "-d", "{}", server.target, "inference.GRPCInferenceService/ServerReady"]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
    assert '"ready": true' in answer


def test_redhare_is_described_as_its_clients_know_it(ask):
    assert "rpc auth ( .redhare.AuthRequest ) returns ( .redhare.AuthResponse );" in ask(
        "describe", "redhare.Inference"
    )
    stream = "rpc stream_infer ( stream .redhare.Request ) returns ( stream .redhare.Response );"
    assert stream in ask("describe", "redhare.Inference")
    assert "map<string, string> attributes = 1;" in ask("describe", "redhare.AuthRequest")
    text = ask("describe", "redhare.Request")
    for line in ("oneof request_oneof {", "bytes data = 1;", "string token = 2;"):
        assert line in text


def test_fields_have_the_names_in_json_that_their_proto_gives_them(grpcurl, server):
    method = "inference.GRPCInferenceService/LogSettings"
    by_reflection = [grpcurl, "-plaintext", "-d", "{}", server.target, method]
    proto = ("-import-path", str(PROTOS), "-proto", "inference/open_inference.proto")
    by_proto = [grpcurl, "-plaintext", *proto, "-d", "{}", server.target, method]
    answers = [
        json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout)
        for command in (by_reflection, by_proto)
    ]
    assert answers[0] == answers[1]
    assert answers[0]["settings"]["log_error"] == {"boolParam": True}


@pytest.mark.parametrize("key", ["model_name", "modelName"])
def test_both_names_of_a_field_are_taken(grpcurl, server, key):
    command = [grpcurl, "-plaintext", "-d", json.dumps({key: "nothing"}), server.target]
    done = subprocess.run(
        [*command, "inference.GRPCInferenceService/ModelInfer"], capture_output=True, text=True, check=False
    )
    assert "Model 'nothing' not found" in done.stderr


def test_a_template_is_what_a_call_takes(grpcurl, server):
    command = [grpcurl, "-plaintext", "-msg-template", server.target, "describe", "inference.ModelInferRequest"]
    text = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout
    template = json.loads(text[text.index("Message template:") + len("Message template:") :])
    assert list(template) == ["modelName", "modelVersion", "id", "parameters", "inputs", "outputs", "rawInputContents"]
