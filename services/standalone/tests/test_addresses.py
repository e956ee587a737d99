"""The address that `swath serve` prints is what clients take."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from swath.client import Client, ClientConfig


@pytest.mark.parametrize("host", ["unix:{}/swath.sock", "[::1]", "::1"])
def test_the_printed_address_is_a_target(host: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "swath_standalone", "--port", "0", "--state", str(tmp_path / "state")]
    process = subprocess.Popen([*command, "--host", host.format(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        printed = process.stdout.readline().partition("listening on ")[2].partition(",")[0]
        with (
            Client(ClientConfig(target=printed, health_service="swath.session")) as client,
            client.session() as session,
        ):
            assert session.id
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
