"""What a large request takes of the server's memory while it is answered."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from swath.client import Client
from swath_standalone.process import ServerProcess

PAYLOAD = 64 << 20
CUBE = np.zeros((1, 256, 256, PAYLOAD // 4 // 256 // 256), np.float32)
WAVELENGTHS = np.arange(400, 400 + CUBE.shape[-1], dtype=np.int32)
# One band of all: a small answer.
PIPELINE = {
    "nodes": [
        {
            "name": "band",
            "class_name": "cuvis_ai.node.channel_selector.FixedWavelengthSelector",
            "hparams": {"target_wavelengths": [500.0], "normalize_output": False},
        }
    ],
    "connections": [],
}


@pytest.fixture(scope="module", params=["", "0"], ids=["freed memory is kept", "freed memory is given back"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    environment = {"SWATH_INFERENCE_KEEP_FREED_BYTES": request.param} if request.param else {}
    with ServerProcess(tmp_path_factory.mktemp("state"), environment=environment) as process:
        yield process


def _status(pid: int, key: str) -> int:
    """A figure of the process in bytes: VmRSS, what it has now, or VmHWM, the most that it had."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{key}:"))


def _peak(pid: int, call: Callable[[], object]) -> float:
    """The most that a call takes beyond what the process had before it, in payloads."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")  # the most that it had is what it has now
    before = _status(pid, "VmRSS")
    call()
    return (_status(pid, "VmHWM") - before) / PAYLOAD


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="Linux counts the peak")
def test_a_request_of_64_mib_takes_three_times_its_size_as_it_takes_grpc_itself(server: ServerProcess) -> None:
    with Client(server.target) as client, client.session() as session:
        session.load_pipeline(PIPELINE)
        session.infer(cube=CUBE[:, :8, :8], wavelengths=WAVELENGTHS)
        peak = _peak(server.pid, lambda: session.infer(cube=CUBE, wavelengths=WAVELENGTHS))
        # What the network gave, the buffer that gRPC joins it in, and the object that Python gets.
        assert 1 < peak < 3.2
        found = session.infer(cube=CUBE + 1, wavelengths=WAVELENGTHS).only("rgb_image")
        assert found.shape == (1, 256, 256, 1)
        assert (found == 1).all()
