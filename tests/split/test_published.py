"""Published models at the gateway: each replica of inference knows of a change, whoever is away meanwhile."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from swath.client import Client, ClientConfig, NotFoundError
from swath.models.v1 import models_pb2
from swath_suite.suite import Suite

SCORES = np.arange(100, dtype=np.float32).reshape(1, 10, 10, 1)
"""Version N finds 100 - N of these."""
SERVING = health_pb2.HealthCheckResponse.SERVING


def _until(true: Callable[[], Any], seconds: float = 30.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


@dataclass
class Scene:
    """A model of a test's own."""

    client: Client
    name: str

    def publish(self, number: int, **how: Any) -> None:
        """Publish what is to be a version of this number."""
        hparams = {"threshold": number - 0.5, "keep": "above"}
        node = {"name": "above", "class_name": "cuvis_ai.node.deciders.ScoreThreshold", "hparams": hparams}
        with self.client.session() as session:
            session.load_pipeline({"nodes": [node], "connections": []})
            assert self.client.models.publish(self.name, session, **how).version == number

    def answer(self, version: int | str = "", client: Client | None = None) -> int:
        """Return the number of the version that answers."""
        found = (client or self.client).model(self.name, version).infer(scores=SCORES)
        return 100 - int(found["above.decisions"].sum())

    def ready(self, version: int) -> set[str]:
        """Return the replicas that have a version loaded."""
        ready = models_pb2.ReplicaState.STATE_READY
        states = self.client.models.get(self.name).states
        return {each.replica for each in states if (each.version, each.state) == (version, ready)}

    def is_everywhere(self, version: int) -> bool:
        """Whether both replicas have a version loaded."""
        return len(self.ready(version)) == 2


@pytest.fixture
def scene(client: Client) -> Iterator[Scene]:
    """A pinned model at a suite, which is taken back in the end."""
    made = Scene(client, f"scene-{uuid.uuid4().hex[:8]}")
    made.publish(1, aliases=["stable"], pinned=True)
    yield made
    with suppress(NotFoundError):
        client.models.unpublish(made.name)


def test_each_replica_loads_what_is_pinned_and_answers(suite: Suite, scene: Scene) -> None:
    _until(lambda: scene.is_everywhere(1))
    assert [scene.answer() for _ in range(10)] == [1] * 10
    asked = [suite.metrics(each.name) for each in suite.replicas("inference")]
    label = f'swath_model_ready{{model="{scene.name}",version="1"}} 1.0'
    assert all(label in text for text in asked)


def test_health_at_the_gateway_has_the_name_of_each_model(suite: Suite, scene: Scene) -> None:
    with suite.channel() as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)

        def said(name: str) -> Any:
            try:
                return stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=5).status
            except grpc.RpcError as error:
                failed: Any = error
                return failed.code()

        assert said("swath.model/nothing") is grpc.StatusCode.NOT_FOUND
        _until(lambda: said(f"swath.model/{scene.name}") == SERVING)
        watch = stub.Watch(health_pb2.HealthCheckRequest(service=f"swath.model/{scene.name}"), timeout=60)
        # The replica that answers may be one that has not asked for the name yet.
        assert SERVING in (each.status for each in watch)
        scene.client.models.unpublish(scene.name)
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
        assert said(f"swath.model/{scene.name}") is grpc.StatusCode.NOT_FOUND
        watch.cancel()


def test_models_are_served_without_the_pipeline_service_and_changes_come_after_it(suite: Suite, scene: Scene) -> None:
    _until(lambda: scene.is_everywhere(1))
    away = suite.replicas("pipeline")
    for process in away:
        process.kill()
    try:
        assert [scene.answer() for _ in range(20)] == [1] * 20
    finally:
        for process in away:
            process.start()
        for process in away:
            process.wait_until(lambda process=process: suite.ready(process.name), 60)
        suite.wait()
    scene.publish(2, aliases=["stable"])
    _until(lambda: scene.is_everywhere(2))
    _until(lambda: {scene.answer() for _ in range(20)} == {2})


def test_calls_of_an_alias_are_split_by_its_shares(suite: Suite, scene: Scene) -> None:
    scene.publish(2)
    scene.client.models.set_alias(scene.name, "stable", {1: 75.0, 2: 25.0})
    share = f'swath_model_share_ratio{{alias="stable",model="{scene.name}",version="2"}} 0.25'
    replicas = [each.name for each in suite.replicas("inference")]
    _until(lambda: all(share in suite.metrics(replica) for replica in replicas))
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: scene.answer(), range(400)))
    assert set(answers) == {1, 2}
    # A hundred of four hundred, give or take five times the deviation of such a draw.
    assert 57 <= answers.count(2) <= 143
    ended = re.compile(rf'^swath_model_requests_total{{code="OK",model="{scene.name}",version="2"}} (\S+)$', re.M)
    counted = [sum(map(float, ended.findall(suite.metrics(replica)))) for replica in replicas]
    assert sum(counted) == answers.count(2)
    assert all(counted), "each replica draws by itself"


def test_no_call_fails_while_versions_come_and_go(suite: Suite, scene: Scene) -> None:
    going = True
    answers: list[int] = []

    def call(_: int) -> None:
        with Client(ClientConfig(target=suite.target)) as own:
            while going:
                answers.append(scene.answer(client=own))

    with ThreadPoolExecutor(3) as pool:
        calls = [pool.submit(call, number) for number in range(3)]
        try:
            for number in (2, 3, 4):
                scene.publish(number)
                scene.client.models.set_alias(scene.name, "stable", {number - 1: 90.0, number: 10.0})
                scene.client.models.set_alias(scene.name, "stable", number)
                scene.client.models.roll_back_alias(scene.name, "stable")
                scene.client.models.set_alias(scene.name, "stable", number)
                _until(lambda number=number: scene.answer() == number)
                # Where one replica goes over another one may not yet: it answers by the version before.
                _until(lambda number=number: scene.is_everywhere(number))
                if number > 2:
                    scene.client.models.unpublish(scene.name, number - 2)
                    with pytest.raises(NotFoundError, match="has no version"):
                        _until(lambda number=number: scene.answer(number - 2) == 0)
        finally:
            going = False
        for each in calls:
            each.result()
    assert set(answers) <= {1, 2, 3, 4}
    assert answers[-1] == 4
