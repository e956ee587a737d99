"""The registry against the protos, and the tables that follow from it."""

import importlib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from swath.api import (
    APPS,
    ARTIFACT_REFERENCES,
    CUVIS,
    IDEMPOTENT,
    INFERENCE,
    MODEL_CATALOGUE,
    MODELS,
    MUTATING,
    NODES,
    OPEN_INFERENCE,
    PROFILE_SHARE,
    PUBLIC,
    REDHARE,
    REGISTRY,
    ROUTES,
    RUN_SERVICE,
    SERVICE_NAMES,
    SESSION_AUTHORITY,
    SHARED_MEMORY,
    WORKER_LINK,
    WORKSPACE,
    owner,
    owners,
)
from swath.api.descriptors import find_service
from swath.api.model import GrpcService, Method, Process, Service, Slice
from swath.api.tables import Registry

PROTOS = Path(__file__).resolve().parents[3] / "protos"
# Others' protos: the runtime that the reference starts by itself, and reflection, which grpcio-reflection answers.
ELSEWHERE = {"cuvis_ai.v1.RunRuntime", "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"}


def _methods(descriptor) -> set[str]:
    return {f"/{descriptor.full_name}/{method.name}" for method in descriptor.methods}


def _paths(*, public: bool) -> list[str]:
    owned = [part for service in REGISTRY.services for part in service.owns if part.grpc.public is public]
    return [part.path(method) for part in owned for method in part.methods]


def test_every_public_method_has_exactly_one_owner():
    public = [find_service(name) for name in PUBLIC]
    assert set(ROUTES) == {method for service in public for method in _methods(service)}


def test_every_private_method_has_exactly_one_owner():
    wanted = set()
    for grpc in REGISTRY.grpc_services:
        importlib.import_module(grpc.module)
        if not grpc.public:
            wanted |= _methods(find_service(grpc.name))
    paths = _paths(public=False)
    assert set(paths) == wanted
    assert len(paths) == len(wanted)


def test_every_grpc_service_is_declared_with_its_proto():
    declared = {grpc.name: grpc for grpc in REGISTRY.grpc_services}
    there = {}
    for proto in PROTOS.rglob("*.proto"):
        if proto.is_relative_to(PROTOS / "ray"):
            continue  # Every server of applications answers it, and no service of the suite owns it.
        module = importlib.import_module(GrpcService("", str(proto.relative_to(PROTOS))).module.replace("grpc.", "", 1))
        there |= dict.fromkeys((each.full_name for each in module.DESCRIPTOR.services_by_name.values()), proto)
    assert {name: PROTOS / grpc.proto for name, grpc in declared.items()} == {
        name: proto for name, proto in there.items() if name not in ELSEWHERE
    }
    assert all(find_service(name) for name in declared)


def test_the_public_api_has_28_methods():
    assert Counter(path.split("/")[1] for path in ROUTES)[CUVIS] == 28


def test_services_that_own_part_of_the_api():
    assert owners(CUVIS) == ("session", "config", "pipeline", "training", "inference")
    assert owners(WORKSPACE) == ("session",)
    assert owners(RUN_SERVICE) == ("training",)
    assert owners(NODES) == ("pipeline",)
    assert owners(MODELS) == ("pipeline",)
    assert owners(APPS) == ("apps",)
    assert owners(INFERENCE) == owners(OPEN_INFERENCE) == owners(REDHARE) == ("inference",)


def test_a_method_that_nobody_owns():
    assert owner("/cuvis_ai.v1.CuvisAIService/Nothing") is None
    assert owners("nothing") == ()
    with pytest.raises(LookupError, match="no service is called 'nothing'"):
        REGISTRY.service("nothing")
    with pytest.raises(LookupError, match="no process is called 'session'"):
        REGISTRY.process("session")


def test_methods_that_find_out_by_themselves_who_calls():
    assert REGISTRY.open == {f"/{REDHARE}/auth", f"/{REDHARE}/stream_infer"}


def test_what_is_private():
    assert {SESSION_AUTHORITY, PROFILE_SHARE, ARTIFACT_REFERENCES, MODEL_CATALOGUE, WORKER_LINK} <= set(
        REGISTRY.private
    )
    assert not {*REGISTRY.private} & {*PUBLIC}


OPEN_ONCE = ("ModelStreamInfer", "SystemSharedMemoryRegister", "CudaSharedMemoryRegister")


def test_calls_that_are_made_once_and_calls_that_are_audited():
    once = {path for path in ROUTES if path.rpartition("/")[2] not in IDEMPOTENT[path.split("/")[1]]}
    assert once == {
        *(f"/{CUVIS}/{name}" for name in ("CreateSession", "CloseSession", "Train", "StopTrain", "RestoreTrainRun")),
        *(f"/{WORKSPACE}/{name}" for name in ("Put", "Get", "Delete")),
        *(
            f"/{RUN_SERVICE}/{name}"
            for name in ("ResumeRun", "EvaluateRun", "CancelEvaluation", "SaveCheckpoint", "RestoreRun")
        ),
        f"/{SHARED_MEMORY}/Acquire",
        *(f"/{INFERENCE}/{name}" for name in ("StreamInfer", "InferCube")),
        f"/{REDHARE}/stream_infer",
        *(f"/{OPEN_INFERENCE}/{name}" for name in OPEN_ONCE),
        *(f"/{MODELS}/{name}" for name in ("SetAlias", "RollBackAlias", "RemoveAlias", "Unpublish")),
        *(f"/{APPS}/{name}" for name in ("PutBundle", "Deploy", "Delete", "Shutdown")),
    }
    assert (IDEMPOTENT[WORKER_LINK], IDEMPOTENT[ARTIFACT_REFERENCES]) == ((), ("ReadReferences",))
    unaudited = {
        f"/{WORKSPACE}/Get",
        f"/{SHARED_MEMORY}/Acquire",
        *(f"/{INFERENCE}/{name}" for name in ("StreamInfer", "InferCube")),
        f"/{REDHARE}/stream_infer",
        *(f"/{OPEN_INFERENCE}/{name}" for name in OPEN_ONCE),
    }
    assert once - unaudited <= MUTATING <= ROUTES.keys()


@pytest.mark.parametrize(
    ("name", "called"),
    [
        # For the health of the suite.
        ("session", {*SERVICE_NAMES} - {"session"}),
        ("config", {"session"}),
        ("pipeline", {"session"}),
        ("training", {"session"}),
        ("inference", {"session", "inference", "pipeline"}),
        ("apps", set()),
        ("gateway", {*SERVICE_NAMES}),
        ("worker", {"training"}),
        ("standalone", set()),
    ],
)
def test_who_calls_whom(name: str, called: set[str]):
    assert set(REGISTRY.callees(name)) == called


def test_names_that_follow_from_the_name_of_a_service():
    inference, worker = REGISTRY.service("inference"), REGISTRY.process("worker")
    assert (inference.package, inference.distribution) == ("swath_inference", "swath-inference")
    assert (inference.uri, inference.dns_name) == ("spiffe://swath/inference", "inference.swath")
    assert (inference.health_name, inference.address) == ("swath.inference", "inference:50051")
    assert (worker.package, worker.uri) == ("swath_training", "spiffe://swath/worker")


def test_who_gets_calls_that_nobody_owns():
    assert REGISTRY.catch_all == "apps"
    assert Registry((_toy(MADE),)).catch_all == "toy"


PUBLIC_TOY = GrpcService("swath.toy.v1.Toy", "swath/toy/v1/toy.proto", public=True)
PRIVATE_TOY = GrpcService("swath.toy.v1.Play", "swath/toy/v1/play.proto")
MADE = Slice(PUBLIC_TOY, (Method("Make"),))
PLAYED = Slice(PRIVATE_TOY, (Method("Play"),))


def _toy(*owns: Slice, name: str = "toy", **more: Any) -> Service:
    return Service(name, image="core", owns=owns, **{"front": True, **more})


@pytest.mark.parametrize(
    ("entries", "text"),
    [
        ((_toy(), _toy(front=False)), "'toy' is declared twice"),
        ((_toy(name="my-toy"),), "a name is .* got 'my-toy'"),
        ((_toy(front=False),), "one service with front=True"),
        ((_toy(), _toy(name="other")), "one service with front=True"),
        (
            (_toy(catch_all=True), _toy(name="other", front=False, catch_all=True)),
            "at most one service with catch_all=True",
        ),
        ((_toy(MADE), _toy(MADE, name="other", front=False)), "/swath.toy.v1.Toy/Make has two owners"),
        ((_toy(PLAYED),), "/swath.toy.v1.Play/Play is private, and nothing calls it"),
        ((_toy(calls={PRIVATE_TOY.name: ("Play",)}),), "toy calls /swath.toy.v1.Play/Play, which is no private method"),
        ((_toy(MADE, calls={PUBLIC_TOY.name: ("Make",)}),), "toy calls /swath.toy.v1.Toy/Make, which is no private"),
        (
            (_toy(MADE, Slice(GrpcService(PUBLIC_TOY.name, PUBLIC_TOY.proto), ())),),
            "swath.toy.v1.Toy is declared in two ways",
        ),
    ],
)
def test_entries_that_contradict_one_another_are_refused(entries: tuple[Service, ...], text: str):
    with pytest.raises(ValueError, match=text):
        Registry(entries)


def test_a_process_may_call_what_it_declares_and_nothing_else():
    child = Process("child", image="core", calls={PRIVATE_TOY.name: ("Play",)})
    registry = Registry((_toy(PLAYED),), (child, Process("other", image="core")))
    assert registry.grants == {"child": frozenset({"/swath.toy.v1.Play/Play"})}
    assert (registry.callees("child"), registry.callees("other")) == (("toy",), ())
