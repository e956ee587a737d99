"""Every replica of inference knows of each change of a published model, whatever becomes of the way that it is told."""

from __future__ import annotations

import re
import statistics
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

import grpc
import pytest

from swath.client import Client, NotFoundError
from swath.inference import open_inference_pb2 as pb
from swath.inference import open_inference_pb2_grpc
from swath_suite.suite import Suite

LONGEST_S = 60.0
"""For a machine that has other things to do. What is promised is a second: the time that it takes is reported."""
LISTENING = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE query ILIKE 'LISTEN%' OR (query = 'SELECT 1' AND state = 'idle')
"""
"""Ends the connections by which replicas are notified, and says how many there were."""


class Replica:
    """One replica of inference, past the gateway.

    Args:
        suite: The suite that it is of.
        name: Its name.
        channel: To it.
    """

    def __init__(self, suite: Suite, name: str, channel: grpc.Channel) -> None:
        self.name = name
        self._suite = suite
        self._stub = open_inference_pb2_grpc.GRPCInferenceServiceStub(channel)

    def versions(self, model: str) -> list[str]:
        """Return the versions of a model that it tells of; none where it knows no such model."""
        try:
            return list(self._stub.ModelMetadata(pb.ModelMetadataRequest(name=model), timeout=20).versions)
        except grpc.RpcError as error:
            failed: Any = error
            assert failed.code() is grpc.StatusCode.NOT_FOUND
            return []

    def ready(self, model: str, version: str) -> bool:
        """Whether it says that a version answers."""
        return self._stub.ModelReady(pb.ModelReadyRequest(name=model, version=version), timeout=20).ready

    def shares(self, model: str, alias: str) -> dict[int, float]:
        """Return the shares by which its calls of an alias go, in percent."""
        line = re.compile(
            rf'^swath_model_share_ratio{{alias="{alias}",model="{model}",version="(\d+)"}} (\S+)$', re.MULTILINE
        )
        found = line.findall(self._suite.metrics(self.name))
        return {int(version): round(100 * float(share), 6) for version, share in found}


@pytest.fixture
def replicas(suite: Suite) -> Iterator[list[Replica]]:
    """Both of them."""
    folder = suite.layout.folder / "certs" / "gateway"
    files = ((folder / name).read_bytes() for name in ("tls.key", "tls.crt"))
    credentials = grpc.ssl_channel_credentials(suite.certificates.ca.read_bytes(), *files)
    options = [("grpc.ssl_target_name_override", "inference.swath")]
    with ExitStack() as stack:
        made = []
        for process in suite.replicas("inference"):
            target = f"127.0.0.1:{suite.layout.ports[process.name].grpc}"
            channel = stack.enter_context(grpc.secure_channel(target, credentials, options))
            made.append(Replica(suite, process.name, channel))
        yield made


@pytest.fixture
def model(client: Client) -> Iterator[str]:
    """Name of a model that a test publishes."""
    name = f"changes-{uuid.uuid4().hex[:8]}"
    yield name
    with suppress(NotFoundError):
        client.models.unpublish(name)


def _publish(client: Client, model: str, number: int) -> None:
    node = {
        "name": "above",
        "class_name": "cuvis_ai.node.deciders.ScoreThreshold",
        "hparams": {"threshold": number / 64, "keep": "above"},
    }
    with client.session() as session:
        session.load_pipeline({"nodes": [node], "connections": []})
        assert client.models.publish(model, session).version == number


def _seen(replicas: list[Replica], told: Callable[[Replica], bool]) -> float:
    """Wait until each replica tells of a change that was acknowledged, and return the seconds that it took."""
    began = time.monotonic()
    for replica in replicas:
        while not told(replica):
            assert time.monotonic() - began < LONGEST_S, f"{replica.name} does not know of it"
            time.sleep(0.005)
    return time.monotonic() - began


def test_each_change_reaches_every_replica_in_its_order(
    client: Client, replicas: list[Replica], model: str, record_property: Callable[[str, object], None]
) -> None:
    took: list[float] = []

    def after(change: Callable[[], object], told: Callable[[Replica], bool]) -> None:
        change()
        took.append(_seen(replicas, told))

    for number in range(1, 6):
        there = [str(each) for each in range(max(1, number - 1), number + 1)]
        after(
            lambda number=number: _publish(client, model, number),
            lambda each, there=there: each.versions(model) == there,
        )
        assert all(each.ready(model, str(number)) for each in replicas)
        canary = {number: 100.0} if number == 1 else {number - 1: 95.0, number: 5.0}
        after(
            lambda canary=canary: client.models.set_alias(model, "stable", canary),
            lambda each, canary=canary: each.shares(model, "stable") == canary,
        )
        # What was told before it is known as well.
        assert all(each.versions(model) == there for each in replicas)
        if number == 1:
            continue
        after(
            lambda number=number: client.models.set_alias(model, "stable", number),
            lambda each, number=number: each.shares(model, "stable") == {number: 100.0},
        )
        after(
            lambda number=number: client.models.unpublish(model, number - 1),
            lambda each, number=number: each.versions(model) == [str(number)],
        )
        assert not any(each.ready(model, str(number - 1)) for each in replicas)
    after(lambda: client.models.remove_alias(model, "stable"), lambda each: each.shares(model, "stable") == {})
    after(lambda: client.models.unpublish(model), lambda each: each.versions(model) == [])
    assert len(took) == 20
    record_property("median_seconds", statistics.median(took))
    record_property("longest_seconds", max(took))
    print(f"20 changes, each known to both replicas after {statistics.median(took):.3f} s (median), {max(took):.3f} s")


def test_what_changes_while_nobody_is_notified_is_known_after_it(
    suite: Suite, client: Client, replicas: list[Replica], model: str
) -> None:
    for number in range(1, 4):
        _publish(client, model, number)
    for number in (1, 2, 3):
        # One connection of each replica of session, pipeline and training.
        assert int(suite.postgres.query(LISTENING)) >= 2
        client.models.set_alias(model, "stable", number)
        _seen(replicas, lambda each, number=number: each.shares(model, "stable") == {number: 100.0})
    assert int(suite.postgres.query(LISTENING)) >= 2
    client.models.unpublish(model)
    _seen(replicas, lambda each: each.versions(model) == [])
