"""Newcomers find their way with grpcurl."""

import subprocess

import pytest


@pytest.fixture(scope="module")
def ask(grpcurl, server):
    def run(*arguments: str) -> str:
        command = [grpcurl, "-plaintext", *arguments[:-1], server.target, *arguments[-1:]]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout

    return run


def test_list_names_every_service(ask):
    assert ask("list").split() == [
        "cuvis_ai.v1.CuvisAIService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
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
