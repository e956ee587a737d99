"""A gateway that chooses replicas of inference by model: each loads its share of the models, and not all of them."""

from __future__ import annotations

import re
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from swath.api import GATEWAY
from swath.client import Client, NotFoundError
from swath.inference import open_inference_pb2, open_inference_pb2_grpc
from swath_suite.process import Process, free_ports
from swath_suite.suite import Suite

MODELS = 20
"""As many as leave no replica without one."""
SCORES = np.arange(MODELS, dtype=np.float32).reshape(1, 1, MODELS, 1)
"""Model N finds N of these."""
BOTH_HEALTHY = 'envoy_cluster_membership_healthy{envoy_cluster_name="inference-by-model"} 2'


def _until(true: Callable[[], Any], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


class Gateway:
    """A second gateway before the same replicas, which chooses them by model."""

    def __init__(self, suite: Suite, folder: Path) -> None:
        public, self._probe = free_ports(2)
        self.target = f"127.0.0.1:{public}"
        addresses = {f"SWATH_{part.upper()}_ADDRESS": suite.layout.addresses(part) for part in suite.layout.replicas}
        own = {"HOST": "127.0.0.1", "PORT": str(public), "HEALTH_PORT": str(self._probe), "ROUTE_BY_MODEL": "true"}
        settings = {f"SWATH_{name}": value for name, value in own.items()}
        command = [sys.executable, "-m", "swath_gateway", "--folder", str(folder / "gateway")]
        command += ["--envoy", str(Path(sys.executable).with_name("envoy"))]
        environment = {**addresses, **suite.layout.certificate(GATEWAY), **settings}
        self.process = Process("gateway by model", command, environment, folder / "gateway.log")

    def has_both(self) -> bool:
        """Whether it knows that both replicas take calls."""
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{self._probe}/stats/prometheus") as answer:
            return BOTH_HEALTHY in answer.read().decode()
        return False


@pytest.fixture(scope="module")
def gateway(suite: Suite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """The second gateway."""
    made = Gateway(suite, tmp_path_factory.mktemp("by-model"))
    made.process.start()
    made.process.wait_until(made.has_both)
    yield made
    made.process.stop()


@pytest.fixture
def caller(gateway: Gateway) -> Iterator[Client]:
    """A client of it."""
    with Client(gateway.target) as client:
        yield client


@pytest.fixture
def models(client: Client) -> Iterator[list[str]]:
    """Models that nobody has called yet."""
    run = uuid.uuid4().hex[:8]
    names = [f"by-model-{run}-{number}" for number in range(MODELS)]
    with client.session() as session:
        for number, name in enumerate(names):
            hparams = {"threshold": MODELS - number - 0.5, "keep": "above"}
            node = {"name": "above", "class_name": "cuvis_ai.node.deciders.ScoreThreshold", "hparams": hparams}
            session.load_pipeline({"nodes": [node], "connections": []})
            client.models.publish(name, session)
    _until(lambda: all(_known(client, name) == 2 for name in names))
    yield names
    for name in names:
        with suppress(NotFoundError):
            client.models.unpublish(name)


def _known(client: Client, name: str) -> int:
    return len(client.models.get(name).states)


def _answer(client: Client, name: str) -> int:
    return int(client.model(name).infer(scores=SCORES)["above.decisions"].sum())


def _loaded(suite: Suite, replica: str, names: list[str]) -> set[str]:
    """Return the models that a replica has loaded, by its metrics."""
    found = set(re.findall(r'^swath_model_ready{model="([^"]+)",version="1"} 1\.0$', suite.metrics(replica), re.M))
    return found & set(names)


def _infer(gateway: Gateway, name: str, said: str) -> int:
    """Call a model by the Open Inference Protocol, and name another one in the metadata perhaps."""
    request = open_inference_pb2.ModelInferRequest(model_name=name, raw_input_contents=[SCORES.tobytes()])
    request.inputs.add(name="scores", datatype="FP32", shape=SCORES.shape)
    request.outputs.add(name="above.decisions")
    with grpc.insecure_channel(gateway.target) as channel:
        stub = open_inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        answer = stub.ModelInfer(request, timeout=60, metadata=[("swath-model", said)])
    return sum(answer.raw_output_contents[0])


def test_each_replica_loads_its_share_and_goes_on_with_all_of_it(
    suite: Suite, gateway: Gateway, caller: Client, models: list[str]
) -> None:
    replicas = [each.name for each in suite.replicas("inference")]
    for _ in range(2):
        assert [_answer(caller, name) for name in models] == list(range(MODELS))
    # Who calls by another protocol and says which model it is comes to the same replica.
    assert [_infer(gateway, name, name) for name in models] == list(range(MODELS))
    one, other = (_loaded(suite, replica, models) for replica in replicas)
    assert one | other == set(models)
    assert not one & other
    assert one
    assert other

    lost = suite.replicas("inference")[1]
    lost.kill()
    try:
        # None fails, not even of those that were there.
        assert [_answer(caller, name) for name in models] == list(range(MODELS))
        assert _loaded(suite, replicas[0], models) == set(models)
    finally:
        lost.start()
        lost.wait_until(lambda: suite.ready(lost.name), 60)
        suite.wait()
    _until(gateway.has_both)
    assert [_answer(caller, name) for name in models] == list(range(MODELS))
    # It is the same one by its address: its models are its again, and it has no others.
    assert _loaded(suite, replicas[1], models) == other


def test_a_hot_model_is_loaded_by_others_as_well(suite: Suite, caller: Client, models: list[str]) -> None:
    hot, *cold = models
    replicas = [each.name for each in suite.replicas("inference")]
    with ExitStack() as stack:
        streams = [stack.enter_context(caller.model(hot).stream()) for _ in range(16)]
        for stream in streams:
            stream.send(scores=SCORES)
        assert [int(stream.receive().value()["above.decisions"].sum()) for stream in streams] == [0] * 16
        assert all(hot in _loaded(suite, replica, models) for replica in replicas)
    assert not any(_loaded(suite, replica, cold) for replica in replicas)


def test_a_name_in_the_metadata_decides_on_no_answer(gateway: Gateway, models: list[str]) -> None:
    for said in (models[3], "no such model", "", "x" * 10_000, '"}{', "../.."):
        assert _infer(gateway, models[7], said) == 7
    with pytest.raises(grpc.RpcError) as refused:
        _infer(gateway, "no-such-model", models[3])
    failed: Any = refused.value
    assert failed.code() is grpc.StatusCode.NOT_FOUND
