"""What a real `swath serve` tells of itself: health, metrics and traces of every service, from one process."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from swath.api import REGISTRY
from swath.client import Client, ClientConfig
from swath_standalone.process import ServerProcess
from swath_suite.process import free_ports
from swath_suite.testing.otlp_collector import Collector

SCENE = Path(__file__).resolve().parents[3] / "examples" / "data" / "san_diego.npz"
CUVIS = "cuvis_ai.v1.CuvisAIService"


@pytest.fixture(scope="module")
def metrics_port() -> int:
    return free_ports(1)[0]


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


@pytest.fixture(scope="module")
def server(
    metrics_port: int, collector: Collector, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    settings = {"SWATH_METRICS_PORT": str(metrics_port), "SWATH_OTLP_ADDRESS": collector.address}
    with ServerProcess(tmp_path_factory.mktemp("state"), environment=settings) as process:
        data = process.state / "workspace" / "data"
        data.mkdir(parents=True)
        shutil.copy(SCENE, data)
        yield process


def figures(port: int) -> dict[str, float]:
    """Return what a scrape gives: values by name and labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10.0) as answer:
        families = text_string_to_metric_families(answer.read().decode())
        return {
            f"{sample.name}{sorted(sample.labels.items()) or ''}": sample.value
            for family in families
            for sample in family.samples
        }


def calls(port: int, method: str) -> float:
    labels = [("grpc_code", "OK"), ("grpc_method", method), ("grpc_service", CUVIS), ("grpc_type", "unary")]
    return figures(port).get(f"grpc_server_handled_total{labels}", 0.0)


@pytest.mark.parametrize("service", REGISTRY.names)
def test_every_service_comes_up(server: ServerProcess, service: str) -> None:
    server.wait(f"swath.{service}")


def test_one_port_has_the_metrics_of_all_services(server: ServerProcess, metrics_port: int) -> None:
    before = figures(metrics_port)
    assert before["swath_training_events_total"] == 0
    loads = before["swath_inference_model_loads_total"]
    with np.load(SCENE) as scene, Client(server.target) as client, client.session() as session:
        session.set_run_config(session.resolve("trainrun", "trainrun/san_diego_rx"))
        list(session.train("statistical"))
        session.infer(
            cube=scene["cube"][None].astype(np.float32), wavelengths=scene["wavelengths"][None], outputs=["scores"]
        )
        after = figures(metrics_port)
        assert after["swath_inference_models"] == 1
        assert after["swath_inference_model_bytes"] > 0
    assert after["swath_inference_model_loads_total"] == loads + 1
    assert after["swath_training_events_total"] > 0
    assert {"swath_sessions", "swath_artifact_rounds_total", "swath_training_runs"} <= after.keys()
    assert after["process_resident_memory_bytes"] > 0


def test_calls_of_all_services_are_counted_together(server: ServerProcess, metrics_port: int) -> None:
    names = ("CreateSession", "ResolveConfig", "ListAvailablePipelines", "GetTrainStatus", "CloseSession")
    before = {name: calls(metrics_port, name) for name in names}
    with Client(server.target) as client, client.session() as session:
        session.resolve("data", "data/san_diego_scene")
        client.pipelines()
        session.status()
    assert {name: calls(metrics_port, name) - before[name] for name in names} == dict.fromkeys(names, 1.0)


def test_spans_of_the_last_calls_arrive_before_the_process_ends(tmp_path: Path) -> None:
    trace, parent = secrets.token_hex(16), secrets.token_hex(8)
    with Collector() as collector:
        server = ServerProcess(tmp_path / "state", environment={"SWATH_OTLP_ADDRESS": collector.address})
        server.start(wait_for="swath.session")
        with Client(
            ClientConfig(target=server.target, metadata={"traceparent": f"00-{trace}-{parent}-01"}, health_service=None)
        ) as client:
            client.open_session()
        assert server.stop() == 0
        (span,) = [each for each in collector.of(trace) if each.name == f"{CUVIS}/CreateSession"]
    assert (span.service, span.parent) == ("swath-standalone", parent)


def test_a_metrics_port_that_is_taken_is_named(server: ServerProcess, metrics_port: int, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "swath_standalone", "--port", "0", "--state", str(tmp_path)]
    environment = {**os.environ, "SWATH_METRICS_PORT": str(metrics_port)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == 1
    assert "choose another SWATH_METRICS_PORT" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("variable", "value"),
    [("SWATH_SESSION_TTL_S", "0"), ("SWATH_CONFIG_WORKERS", "none"), ("SWATH_TRAINING_LEASE_S", "-1")],
)
def test_settings_of_a_service_that_are_wrong_are_named(tmp_path: Path, variable: str, value: str) -> None:
    import os

    command = [sys.executable, "-m", "swath_standalone", "--port", "0", "--state", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ, variable: value})
    assert done.returncode == 2
    field = variable.removeprefix("SWATH_").removeprefix("CONFIG_").removeprefix("TRAINING_").lower()
    assert done.stderr.startswith(f"swath serve: setting {field}: ")
    assert "Traceback" not in done.stderr
