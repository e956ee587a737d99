"""The method -> service table against the protos."""

from collections import Counter

from swath.api import CUVIS, NODES, ROUTES, RUNS, WORKSPACE, owner, services
from swath.cuvis_ai.v1 import cuvis_ai_pb2
from swath.pipeline.v1 import nodes_pb2
from swath.training.v1 import runs_pb2
from swath.workspace.v1 import workspace_pb2


def _methods(descriptor) -> set[str]:
    return {f"/{descriptor.full_name}/{method.name}" for method in descriptor.methods}


def test_every_public_method_has_exactly_one_owner():
    public = (
        cuvis_ai_pb2.DESCRIPTOR.services_by_name["CuvisAIService"],
        workspace_pb2.DESCRIPTOR.services_by_name["WorkspaceService"],
        runs_pb2.DESCRIPTOR.services_by_name["RunService"],
        nodes_pb2.DESCRIPTOR.services_by_name["NodeService"],
    )
    assert set(ROUTES) == {method for service in public for method in _methods(service)}


def test_the_public_api_has_28_methods():
    assert Counter(path.split("/")[1] for path in ROUTES)[CUVIS] == 28


def test_services_that_own_part_of_the_api():
    assert services(CUVIS) == ("session", "config", "pipeline", "training", "inference")
    assert services(WORKSPACE) == ("session",)
    assert services(RUNS) == ("training",)
    assert services(NODES) == ("pipeline",)


def test_a_method_that_nobody_owns():
    assert owner("/cuvis_ai.v1.CuvisAIService/Nothing") is None
    assert services("nothing") == ()
