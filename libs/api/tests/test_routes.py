"""The method -> service table against the protos."""

from collections import Counter

from google.protobuf import descriptor_pool

import swath.api.descriptors  # noqa: F401
from swath.api import CUVIS, NODES, PUBLIC, ROUTES, RUNS, WORKSPACE, owner, services


def _methods(descriptor) -> set[str]:
    return {f"/{descriptor.full_name}/{method.name}" for method in descriptor.methods}


def test_every_public_method_has_exactly_one_owner():
    public = [descriptor_pool.Default().FindServiceByName(name) for name in PUBLIC]
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
