"""The servers that are compared: floors, Swath, and its peers, each with its own environment below ``.peers``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import grpc

from benchmarks.peer import PACKAGES, Peer
from benchmarks.serving.dialects import Cuvis, Dialect, Oip, Own
from benchmarks.serving.messages import OWN, ROOT, compile_proto
from benchmarks.serving.models import MODELS
from benchmarks.serving.side import Side, installed
from benchmarks.serving.weights import ARRAYS, document, weights_file
from swath.client import build_stub
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.errors import TimedOut
from swath.inference import open_inference_pb2, open_inference_pb2_grpc
from swath.models.v1 import models_pb2, models_pb2_grpc
from swath_suite.process import Process, free_ports
from tools.parity import environment

PEERS = ("kserve", "mlserver", "ray", "triton", "cuvis-ai-core")
FLOORS = ("echo-aio", "echo-sync", "echo-tuned", "model-tuned")
UNBATCHED_NAME = "swath-unbatched"
OIP_NAME = "swath-oip"
"""Swath over the Open Inference Protocol, with models that are published."""
UNBATCHED = {"SWATH_INFERENCE_BATCH_CALLS": "1"}
"""Settings of Swath that keep calls apart."""
_PACKAGES = {"kserve": "kserve", "mlserver": "mlserver", "ray": "ray", "triton": "nvidia-pytriton"}
RAY_VARIABLES = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_raylet_start_wait_time_s": "240",
    # Its processes stand still while others are measured, and are not to be taken for dead afterwards.
    "RAY_health_check_failure_threshold": "10000",
    "RAY_health_check_timeout_ms": "600000",
    "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "600",
}
_PLACE = ROOT / ".peers"
_REQUIREMENTS = Path(__file__).with_name("peers")


class Sessions(dict[str, str]):
    """Session ids by model; one that is asked for and not there is opened.

    Args:
        target: Address of the server.
        folder: Where `weights.write` put the weights files.
        empty: Opens an empty session on a stub.
        fields: Fields to add to each pipeline's document.
    """

    def __init__(self, target: str, folder: Path, empty: Callable[[Any], str], **fields: Any) -> None:
        super().__init__()
        self._fields = fields
        self._stub = build_stub(target)
        self._folder = folder
        self._open = empty

    def __missing__(self, model: str) -> str:
        self[model] = open_session(self._stub, self._folder, model, self._open, **self._fields)
        return self[model]


def empty_session(stub: Any) -> str:
    """Open a session with nothing in it, and return its id."""
    return stub.CreateSession(pb.CreateSessionRequest()).session_id


def open_session(
    stub: Any, folder: Path, model: str, empty: Callable[[Any], str] = empty_session, **fields: Any
) -> str:
    """Open a session that holds a model, and return its id."""
    session = empty(stub)
    config = pb.PipelineConfig(config_bytes=json.dumps(document(model) | fields).encode())
    stub.LoadPipeline(pb.LoadPipelineRequest(session_id=session, pipeline=config))
    if (weights := weights_file(folder, model)) is not None:
        stub.LoadPipelineWeights(pb.LoadPipelineWeightsRequest(session_id=session, weights_bytes=weights, strict=False))
    return session


class Published:
    """Names of the inputs and outputs of models; one that is asked for and not there is published.

    Args:
        target: Address of the server.
        sessions: What they are published from.
    """

    def __init__(self, target: str, sessions: Sessions) -> None:
        channel = grpc.insecure_channel(target)
        self._models: Any = models_pb2_grpc.ModelServiceStub(channel)
        self._inference: Any = open_inference_pb2_grpc.GRPCInferenceServiceStub(channel)
        self._sessions = sessions
        self._known: set[str] = set()

    def __call__(self, model: str) -> tuple[str, str]:
        if model not in self._known:
            request = models_pb2.PublishRequest(name=model, session_id=self._sessions[model])
            self._models.Publish(request, timeout=60)
            asked = open_inference_pb2.ModelReadyRequest(name=model)
            end = time.monotonic() + 60
            while not self._inference.ModelReady(asked, timeout=60).ready:
                if time.monotonic() > end:
                    raise TimedOut(f"{model} was published and is not ready after 60 s")
                time.sleep(0.05)
            self._known.add(model)
        return MODELS[model].port, f"{model}.{MODELS[model].output}"


class Sides:
    """Makes the servers.

    Args:
        folder: Where everything of this run goes; `weights.write` has been there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def make(self, name: str) -> Side:
        """Return a server by its name; peers are installed for it.

        Raises:
            RuntimeError: It cannot be installed; the message says why.
        """
        if name in FLOORS:
            return self.floor(name)
        if name.startswith("swath"):
            return self.swath(name, UNBATCHED if name == UNBATCHED_NAME else {})
        if name == "cuvis-ai-core":
            return self._reference()
        return self._peer(name)

    def floor(self, name: str, python: Path | None = None, title: str | None = None) -> Side:
        """Return a floor, run by this Python or by one with another grpcio."""
        python = python or Path(sys.executable)
        title = title or name
        port, dialect = free_ports(1)[0], self.floor_dialect()
        replies = {"BENCH_REPLIES": (self._folder / "replies.json").read_text()}
        command = [str(python), "-m", "benchmarks.serving.floors", name]
        version = f"grpcio {installed(python.parents[1], 'grpcio')}"
        return Side(
            self._process(title, command, self._variables(title, port) | replies),
            f"127.0.0.1:{port}",
            lambda: dialect,
            version=version,
        )

    def floor_dialect(self) -> Cuvis:
        """Return how floors are asked: by ids as long as those of sessions, which name the model."""
        return Cuvis(self._folder, {model: f"-{model}".rjust(36, "0") for model in MODELS})

    def swath(self, name: str, settings: Mapping[str, str]) -> Side:
        """Return a standalone server with its defaults but for some settings."""
        port = free_ports(1)[0]
        state = self._folder / name / "state"
        shutil.rmtree(state, ignore_errors=True)
        target = f"127.0.0.1:{port}"
        command = [sys.executable, "-m", "swath_standalone", "--port", str(port), "--state", str(state)]

        def dialect() -> Dialect:
            sessions = Sessions(target, self._folder, empty_session)
            if name == OIP_NAME:
                return Oip(self._folder, Published(target, sessions))
            return Cuvis(self._folder, sessions)

        process = self._process(name, command, dict(settings))
        return Side(process, target, dialect, version=(ROOT / "VERSION").read_text().strip())

    def _reference(self) -> Side:
        _install(environment.PLACE, ROOT / "tools" / "parity" / "requirements.txt")
        peer = Peer()
        return Side(
            peer.process,
            peer.target,
            lambda: Cuvis(self._folder, Sessions(peer.target, self._folder, peer.open, plugins=list(PACKAGES)[:1])),
            version=environment.versions()["cuvis-ai-core"],
            note="a process for each session",
            ended=peer.forget,
        )

    def _peer(self, name: str) -> Side:
        python = install(name)
        port, second = free_ports(2)
        variables = self._variables(name, port) | {"BENCH_SECOND_PORT": str(second)}
        command = [str(python), "-m", f"benchmarks.serving.peers.{name}.server"]
        make: Callable[[], Dialect] = lambda: Oip(self._folder)  # noqa: E731
        if name == "kserve":
            largest = str(2**31 - 1)
            command += ["--grpc_max_send_message_length", largest, "--grpc_max_receive_message_length", largest]
        if name == "ray":
            make = lambda: Own(self._folder)  # noqa: E731
            generated = self._folder / "generated"
            generated.mkdir(exist_ok=True)
            compile_proto(OWN, f"--python_out={generated}")
            variables |= {"PYTHONPATH": f"{ROOT}{os.pathsep}{generated}", **RAY_VARIABLES}
        return Side(
            self._process(name, command, variables),
            f"127.0.0.1:{port}",
            make,
            version=installed(python.parents[1], _PACKAGES[name]),
        )

    def _variables(self, name: str, port: int) -> dict[str, str]:
        folder = self._folder / name
        folder.mkdir(parents=True, exist_ok=True)
        return {
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "ignore",
            "BENCH_PORT": str(port),
            "BENCH_FOLDER": str(folder),
            "BENCH_WEIGHTS": str(self._folder / ARRAYS),
        }

    def _process(self, name: str, command: list[str], variables: Mapping[str, str]) -> Process:
        folder = self._folder / name
        folder.mkdir(parents=True, exist_ok=True)
        return Process(name, command, variables, folder / "log", folder=folder)


def install(name: str) -> Path:
    """Install what a peer's requirements file pins, unless it is there, and return the peer's Python.

    Raises:
        RuntimeError: It cannot be installed; the message ends as the installer's output did.
    """
    return _install(_PLACE / name, _REQUIREMENTS / name / "requirements.txt", _base(name))


def _install(place: Path, requirements: Path, base: str = sys.executable) -> Path:
    python, mark = place / "bin" / "python", place / ".synced"
    if mark.is_file() and mark.stat().st_mtime >= requirements.stat().st_mtime:
        return python
    uv = os.environ.get("UV") or shutil.which("uv") or str(ROOT / ".tools" / "bin" / "uv")
    for arguments in (
        ["venv", "--quiet", "--clear", "--python", base, str(place)],
        ["pip", "sync", "--quiet", "--require-hashes", "--python", str(python), str(requirements)],
    ):
        done = subprocess.run(
            [uv, *arguments],
            cwd=ROOT,
            # Packages as large as torch are kept once.
            env=os.environ | {"UV_LINK_MODE": "hardlink"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"uv {arguments[0]} failed:\n{done.stderr.strip()[-1500:]}")
    mark.touch()
    return python


def _base(name: str) -> str:
    """Return the Python that a peer's environment is made of."""
    # Triton's backend loads the system's libpython, whose standard library must be of the very same release.
    system = Path(f"/usr/bin/python3.{sys.version_info.minor}")
    return str(system) if name == "triton" and system.exists() else sys.executable
