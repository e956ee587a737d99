"""The applications of examples/applications, each called by its client as the README says."""

from __future__ import annotations

import functools
import http.server
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from PIL import Image

from swath.client import Client
from swath.rpc.proxies import NO_PROXY

from .conftest import EXAMPLES, SCENE, SWATH

pytestmark = pytest.mark.xdist_group("applications")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the folder with what its README has users make."""
    copy = tmp_path_factory.mktemp("applications") / "applications"
    shutil.copytree(EXAMPLES / "applications", copy, ignore=shutil.ignore_patterns("*_pb2*.py", "model", "__pycache__"))
    readme = (copy / "README.md").read_text()
    making = next(block for block in re.findall(r"```bash\n(.*?)```", readme, re.DOTALL) if "grpc_tools" in block)
    for line in making.splitlines():
        subprocess.run([sys.executable, *line.split()[1:]], cwd=copy, check=True, capture_output=True)
    return copy


@pytest.fixture(scope="module")
def started(folder: Path) -> Iterator[Callable[..., str]]:
    """Starts programs in the folder; returns what each prints where it says where it listens."""
    programs: list[subprocess.Popen[str]] = []

    def start(said: str, *command: str) -> str:
        program = subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        programs.append(program)
        assert program.stdout is not None
        while said not in (line := program.stdout.readline()):
            assert line, "the program has ended"
        return line.split()[-1]

    yield start
    for program in programs:
        program.send_signal(signal.SIGINT)
        program.communicate(timeout=60)


@pytest.fixture(scope="module")
def both(started: Callable[..., str], folder: Path) -> str:
    """Both applications, by the config file as it is but for the port, which may be taken."""
    config = folder / "config.yaml"
    config.write_text(config.read_text().replace("port: 9000", "port: 0"))
    return started("listening on ", str(SWATH), "app", "run", "config.yaml")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a folder with a red picture and a blue one."""
    folder = tmp_path_factory.mktemp("pictures")
    for name, colour in (("red", (210, 40, 30)), ("blue", (25, 60, 220))):
        Image.new("RGB", (320, 240), colour).save(folder / f"{name}.png")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def client(folder: Path) -> Callable[..., str]:
    """Runs a client; returns what it prints."""

    def run(name: str, *arguments: str) -> str:
        command = [sys.executable, name, *arguments]
        return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=60).stdout

    return run


def test_greeting(both: str, client: Callable[..., str]) -> None:
    said = client("greeting_client.py", both).splitlines()
    assert said[:2] == ["Applications: ['app1', 'app2']", "Health: success"]
    assert said[2:5] == ["status code: StatusCode.OK", "greeting: Hello foo from bar", "num: 60"]
    assert said[5] == "greeting: Method2 called model, loading model: 999"
    assert said[6] == "trailing metadata key: request_id, value 123"
    assert said[7:17] == [f"greeting: {i}: Hello foo from bar, num: {60 + i}" for i in range(10)]
    assert said[17] == "status code: StatusCode.NOT_FOUND"
    assert said[18].startswith("details: Application 'nobody' not found. Ping ")


@pytest.mark.parametrize("colour", ["red", "blue"])
def test_image_classification(both: str, client: Callable[..., str], pictures: str, colour: str) -> None:
    said = client("image_client.py", f"{pictures}/{colour}.png", both).splitlines()
    assert said[0] == "status code: StatusCode.OK"
    assert said[1].startswith(f"Classes: ['{colour}', ")
    shares = [float(each) for each in re.findall(r"[\d.]+", said[2])]
    assert shares[0] > 0.9
    assert shares == sorted(shares, reverse=True)


@pytest.fixture(scope="module")
def published(server: str) -> str:
    """The address of the server, which has the model of the finder of aircraft."""
    with Client(server) as client, client.session() as session:
        client.workspace.put(SCENE, "data/san_diego.npz")
        session.set_run_config(session.resolve("trainrun", "trainrun/san_diego_rx"))
        for _ in session.train("statistical"):
            pass
        client.models.publish("san_diego_rx", session, aliases=["stable"])
    return server


@pytest.fixture(scope="module")
def finder(published: str, folder: Path) -> Iterator[str]:
    """The finder of aircraft, deployed on that server."""
    command = [str(SWATH), "app", "deploy", "aircraft.yaml", "--target", published]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    yield published
    with Client(published) as client:
        client.applications.shutdown()


def _by_hand() -> tuple[np.ndarray, float, tuple[int, int], float]:
    """What is to be marked: mask, threshold, place and value of the highest squared Mahalanobis distance."""
    with np.load(SCENE) as scene:
        cube = scene["cube"].astype(np.float64)
    centred = cube.reshape(-1, cube.shape[-1])
    centred = centred - centred.mean(axis=0)
    solved = np.linalg.solve(np.cov(centred, rowvar=False), centred.T).T
    scores = (centred * solved).sum(axis=1).reshape(cube.shape[:2])
    threshold = np.quantile(scores, 0.99)
    line, sample = np.unravel_index(scores.argmax(), scores.shape)
    return scores > threshold, float(threshold), (int(line), int(sample)), float(scores.max())


def _is_found(folder: Path, said: str, picture: Path) -> None:
    mask, threshold, (line, sample), highest = _by_hand()
    marked, above = re.findall(r"marked: (\d+) pixels with scores above ([\d.]+)", said)[0]
    assert int(marked) == mask.sum() == 100  # 1 % of 100 x 100
    assert float(above) == pytest.approx(threshold, rel=1e-4, abs=0.006)
    at = re.findall(r"line (\d+), sample (\d+), score ([\d.]+)", said)[0]
    assert (int(at[0]), int(at[1])) == (line, sample)
    assert float(at[2]) == pytest.approx(highest, rel=1e-4, abs=0.006)
    assert np.array_equal(np.asarray(Image.open(picture.with_name(f"mask-{picture.name}"))), mask * np.uint8(255))
    drawn = np.asarray(Image.open(picture))
    assert np.array_equal((drawn == (255, 0, 0)).all(axis=2), mask)


def test_aircraft_on_the_server_that_has_the_model(
    finder: str, folder: Path, client: Callable[..., str], tmp_path: Path
) -> None:
    picture = tmp_path / "found.png"
    _is_found(folder, client("aircraft_client.py", str(SCENE), finder, str(picture)), picture)


def test_aircraft_on_a_machine_of_its_own(
    published: str,
    folder: Path,
    client: Callable[..., str],
    tmp_path: Path,
    started: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = folder / "own.yaml"
    config.write_text((folder / "aircraft.yaml").read_text().replace("port: 9000", "port: 0"))
    monkeypatch.setenv("SWATH_TARGET", published)
    monkeypatch.setenv("SCENES", str(SCENE.parent))
    target = started("listening on ", str(SWATH), "app", "run", "own.yaml")
    picture = tmp_path / "found.png"
    _is_found(folder, client("aircraft_client.py", str(SCENE), target, str(picture)), picture)
    # By a name in place of bytes; and no scene at all. FindRequest{file = 2} and {npz = 1}.
    with grpc.insecure_channel(target, options=[NO_PROXY]) as channel:
        find: Any = channel.unary_unary("/aircraft.v1.Aircraft/Find")
        assert find(b"\x12\x0d" + b"san_diego.npz", timeout=60).startswith(b"\x0a")
        with pytest.raises(grpc.RpcError) as refused:
            find(b"\x0a\x05" + b"scene", timeout=60)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT  # pyright: ignore[reportAttributeAccessIssue]
    assert "expected an .npz archive with cube and wavelengths, got" in refused.value.details()  # pyright: ignore


def test_grpc_context(started: Callable[..., str], client: Callable[..., str]) -> None:
    target = started("app1 runs at ", sys.executable, "server.py", "0", "app1=grpc_context:g")
    assert "both calls ended as they were to" in client("grpc_context_client.py", target)
