"""One real server, a small scene that it knows, and a pipeline that is trained in a moment."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from swath.client import AsyncClient, Client, ClientConfig, RetryConfig, Session
from swath.client.cli import app
from swath_standalone.process import ServerProcess

SCALE = {
    "nodes": [
        {
            "name": "scale",
            "class_name": "cuvis_ai.node.normalization.MinMaxNormalizer",
            "hparams": {"use_running_stats": False},
        }
    ],
    "connections": [],
    "metadata": {"name": "Scale", "tags": ["tiny"]},
}
"""Takes ``data`` [B, H, W, C] and scales each channel of each image to 0..1: nothing is to be learnt."""

RX = {
    "nodes": [
        {"name": "data", "class_name": "cuvis_ai.node.data.AnomalyDataNode", "hparams": {"normal_class_ids": [0]}},
        {
            "name": "rx",
            "class_name": "cuvis_ai.node.anomaly.rx_detector.RXGlobal",
            "hparams": {"num_channels": 3, "eps": 0.0001},
        },
    ],
    "connections": [{"source": "data.outputs.cube", "target": "rx.inputs.data"}],
    "metadata": {"name": "Tiny RX", "description": "Global RX over three bands.", "tags": ["tiny", "statistical"]},
}

TRAINRUN = """
defaults: [/pipeline@pipeline: tiny/rx, _self_]
name: tiny_rx
data: {data_module: scene, batch_size: 1, num_workers: 0, params: {path: data/tiny.npz}}
"""

Swath = Callable[..., Result]


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene file: cube [6, 8, 3], wavelengths, and a mask with one pixel in it."""
    file = tmp_path_factory.mktemp("scene") / "tiny.npz"
    cube = np.random.default_rng(5).random((6, 8, 3), dtype=np.float32)
    mask = np.zeros((6, 8), np.uint8)
    cube[2, 3], mask[2, 3] = [3.0, -2.0, 3.0], 1
    np.savez(file, cube=cube, wavelengths=np.array([450, 550, 650], np.float32), mask=mask)
    return file


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, scene: Path) -> Iterator[ServerProcess]:
    """A server with the scene, both pipelines and the trainrun in its workspace."""
    with ServerProcess(tmp_path_factory.mktemp("state")) as running:
        with Client(running.target) as client:
            client.workspace.put(scene, "data/tiny.npz")
            client.workspace.put(json.dumps(RX).encode(), "configs/pipeline/tiny/rx.yaml")
            client.workspace.put(json.dumps(SCALE).encode(), "configs/pipeline/tiny/scale.yaml")
            client.workspace.put(TRAINRUN.encode(), "configs/trainrun/tiny_rx.yaml")
        yield running


@pytest.fixture(scope="session")
def client(server: ServerProcess) -> Iterator[Client]:
    """A client of that server for all tests."""
    with Client(server.target) as client:
        yield client


@pytest.fixture
async def aio(server: ServerProcess) -> AsyncClient:
    """An asyncio client, to be used as a context manager."""
    return AsyncClient(server.target)


@pytest.fixture
def session(client: Client) -> Iterator[Session]:
    """A session that is closed after the test, if it is still there."""
    with client.session() as session:
        yield session


@pytest.fixture(scope="session")
def trained(client: Client) -> str:
    """Path of a saved trainrun, with its pipeline and weights beside it."""
    with client.session() as session:
        session.set_run_config(session.resolve("trainrun", "tiny_rx"))
        for _ in session.train():
            pass
        session.save_trainrun("runs/tiny.yaml")
    return "runs/tiny.yaml"


@pytest.fixture
def swath(server: ServerProcess) -> Swath:
    """Calls the command line, against that server."""
    runner = CliRunner()
    return lambda *arguments: runner.invoke(app, [*map(str, arguments), "--target", server.target])


def said(result: Result) -> list[str]:
    """What a command printed, line by line, after checking that it went well."""
    assert result.exit_code == 0, result.output
    return [line.rstrip() for line in result.stdout.splitlines()]


def refused(result: Result) -> str:
    """What a command wrote to standard error, after checking that it failed in one line."""
    assert result.exit_code == 1, result.output
    line = result.stderr.splitlines()[-1]
    assert line.startswith("error: ")
    return line


class Relay:
    """Passes bytes between clients and a server, and breaks connections off where `cuts` has it.

    Attributes:
        target: Where clients reach it.
        cuts: After how many bytes of the client, and of the server, the next connections break; one pair each.
        before_cut: Called by the relay before it breaks a connection off.
    """

    def __init__(self, target: str) -> None:
        host, port = target.rsplit(":", 1)
        self._server = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.target = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.cuts: list[tuple[int, int]] = []
        self.before_cut: Callable[[], object] = lambda: None
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def _start(self, work: Callable[..., None], *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(self._server)
                up, down = self.cuts.pop(0) if self.cuts else (-1, -1)
                self._open += [near, far]
                self._start(self._pass, near, far, up)
                self._start(self._pass, far, near, down)

    def _pass(self, source: socket.socket, sink: socket.socket, left: int) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if 0 <= left < len(data):
                    sink.sendall(data[:left])
                    self.before_cut()
                    break
                left -= len(data) if left >= 0 else 0
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Break everything off."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join()
        for each in self._open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join()
        for each in self._open:
            each.close()


@pytest.fixture
def relay(server: ServerProcess) -> Iterator[Relay]:
    """A way to the server that breaks."""
    made = Relay(server.target)
    yield made
    made.close()


@pytest.fixture
def shaky(relay: Relay) -> ClientConfig:
    """How a client goes that way, without waiting long before it tries again."""
    return ClientConfig(target=relay.target, retry=RetryConfig(initial_s=0.02, max_s=0.1), health_service=None)
