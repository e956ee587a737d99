"""A mistyped variable is told of, with the nearest real one; others are left alone."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from swath.runtime.variables import known, mistyped


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("SWATH_MAX_MESAGE_BYTES", "SWATH_MAX_MESSAGE_BYTES"),
        ("SWATH_TRAINING_LEASE", "SWATH_TRAINING_LEASE_S"),
        ("SWATH_HELTH_PORT", "SWATH_HEALTH_PORT"),
        ("swath_drain_grace", "SWATH_DRAIN_GRACE_S"),
    ],
)
def test_the_nearest_setting_is_named(name: str, nearest: str) -> None:
    assert mistyped({name: "1"}) == [f"{name} is no setting and has no effect; did you mean {nearest}?"]


def test_settings_of_all_processes_are_known() -> None:
    others = {"SWATH_UNARY_TIMEOUT_S", "SWATH_TARGET", "SWATH_TRAINING_LEASE_S", "SWATH_JOBS_TEMPLATE", "SWATH_PLUGINS"}
    assert others <= known()
    assert mistyped(dict.fromkeys((*known(), "PATH", "SWATH_E2E"), "1")) == []


def test_what_kubernetes_tells_of_services_is_no_setting() -> None:
    links = ("SESSION_SERVICE_HOST", "SESSION_SERVICE_PORT_GRPC", "SESSION_PORT", "SESSION_PORT_50051_TCP_ADDR")
    assert mistyped({f"SWATH_{name}": "1" for name in links}) == []


def test_a_server_logs_it() -> None:
    command = [sys.executable, "-m", "swath_standalone", "--state", "/dev/null/nothing", "--port", "0"]
    environment = {**os.environ, "SWATH_LOG_LEVLE": "debug"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert "did you mean SWATH_LOG_LEVEL?" in done.stderr
