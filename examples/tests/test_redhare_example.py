"""The client of redhare.Inference as a process of its own, against `swath serve` with users and without."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest

from swath.client import Client, ClientConfig
from swath.models.v1 import models_pb2, models_pb2_grpc
from swath.rpc.proxies import NO_PROXY
from swath.runtime.auth.tokens import hash_of
from swath_standalone.process import ServerProcess

from .conftest import EXAMPLES, SCENE

TOKEN = "swath_token-of-the-operator"
PASSWORD = "correct horse"
LABELS = {"redhare.dtype": "uint16", "redhare.shape": "100,100,189", "redhare.layout": "HWC"}


@pytest.fixture(scope="module", params=["users", "nobody"])
def published(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server with the published model "scene"; with users, of whom alice has a password and may call it."""
    place = tmp_path_factory.mktemp("redhare")
    environment = {}
    if request.param == "users":
        _swath("user", "alice", "--file", str(place / "users.json"), "--password-stdin", given=f"{PASSWORD}\n")
        _swath("user", "bob", "--file", str(place / "users.json"), "--password-stdin", given=f"{PASSWORD}\n")
        environment = {
            "SWATH_AUTH": "required",
            "SWATH_USERS_FILE": str(place / "users.json"),
            "SWATH_TOKENS": json.dumps({"operator": hash_of(TOKEN)}),
        }
    with ServerProcess(place / "state", environment=environment) as server:
        with Client(ClientConfig(target=server.target, token=TOKEN)) as client, client.session() as session:
            client.ready(timeout_s=90)
            client.workspace.put(SCENE, "data/san_diego.npz")
            session.set_run_config(session.resolve("trainrun", "trainrun/san_diego_rx"))
            for _ in session.train("statistical"):
                pass
            names = ["alice"] if request.param == "users" else []
            callers = models_pb2.Identities(names=names)
            publish = models_pb2.PublishRequest(name="scene", session_id=session.id, labels=LABELS, callers=callers)
            with grpc.insecure_channel(server.target, options=[NO_PROXY]) as channel:
                stub = models_pb2_grpc.ModelServiceStub(channel)
                stub.Publish(publish, metadata=client.config.call_metadata())
            with np.load(SCENE) as scene:
                found = session.infer(cube=scene["cube"][None], wavelengths=scene["wavelengths"][None].astype(np.int32))
        server.expected = {name: float(values.max()) for name, values in found.items()}  # pyright: ignore
        yield server


def _swath(*arguments: str, given: str | None = None) -> str:
    command = [str(Path(sys.executable).with_name("swath")), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, input=given)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def call(published: ServerProcess) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the example."""

    def run(user: str = "alice", password: str = PASSWORD, *, model: str = "scene", files: int = 1) -> object:
        command = [sys.executable, str(EXAMPLES / "serving" / "redhare_client.py"), "--server", published.target]
        command += ["--model", model, "--user", user, "--password", password, *[str(SCENE)] * files]
        # The client knows nothing of Swath's own settings.
        environment = {key: value for key, value in os.environ.items() if not key.startswith("SWATH_")}
        return subprocess.run(command, capture_output=True, text=True, timeout=100, env=environment)

    return run  # pyright: ignore


def test_the_flow_of_the_tutorial_gives_what_a_session_gives(published, call) -> None:
    done = call(files=3)
    assert done.returncode == 0, done.stderr
    first, *lines = done.stdout.splitlines()
    assert first == f"streams go to {published.target}"
    found = re.findall(r"san_diego\.npz: (\S+): float32 \[1, 100, 100, 1\], largest (\S+)", "\n".join(lines))
    scores = {name for name, _ in found if name.endswith("scores")}
    assert len(scores) == 1
    for name, largest in found:
        assert largest == f"{published.expected[name]:.6g}"
    assert [name for name, _ in found].count(scores.pop()) == 3


@pytest.mark.parametrize("published", ["users"], indirect=True)
@pytest.mark.parametrize(
    ("user", "password", "model", "code"),
    [
        ("alice", "wrong horse", "scene", "UNAUTHENTICATED"),
        ("", "", "scene", "UNAUTHENTICATED"),
        ("bob", PASSWORD, "scene", "NOT_FOUND"),
        ("alice", PASSWORD, "nothing", "NOT_FOUND"),
    ],
)
def test_who_may_not_call_is_told_so(call, user, password, model, code) -> None:
    done = call(user, password, model=model)
    assert done.returncode != 0
    assert f"StatusCode.{code}" in done.stderr
