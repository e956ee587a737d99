"""The same calls on the reference server and on ours, in turn, with the pipeline that both ship.

Both run as a person would start them: one process, defaults, all cores. What they train on are 16 frames of San Diego,
100 x 100 pixels of 61 channels, each shifted another way; what they infer on is a frame of 256 x 256 pixels.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import yaml

from benchmarks import resolve
from benchmarks.harness import SCENE, Row, interleaved, server, timed
from benchmarks.peer import Peer, memory
from swath.client import build_stub, create_session_with_search_paths, numpy_to_proto
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from tools.parity.cases.case import BANDS, WAVELENGTHS
from tools.parity.scenes import ANOMALY, Scene

PIPELINE = "pipeline/anomaly/rx/channel_selector.yaml"
TRAINRUN = "trainrun/channel_selector.yaml"
FRAMES, BATCH, EPOCHS, SIDE = 16, 4, 6, 256
IDLE_SESSIONS, IDLE_SESSIONS_THERE = 200, 3


@dataclass
class Server:
    """One of the two.

    Attributes:
        target: Address to call.
        pid: Process id.
        open: Opens a session that pipelines can be loaded in.
        paths: Search paths that make its trainruns known.
        universe: The frames' universe.csv as this server finds it.
    """

    target: str
    pid: int
    open: Callable[[Any], str]
    paths: list[str] | None
    universe: str

    def __post_init__(self) -> None:
        self.stub: Any = build_stub(self.target)


def measure() -> list[Row]:
    with ExitStack() as stack:
        peer = stack.enter_context(Peer())
        running = stack.enter_context(server())
        folder = running.state / "workspace" / "frames"
        data = _frames().data(folder, BATCH)
        document = yaml.safe_load((peer.configs / PIPELINE).read_text())
        trainrun = yaml.safe_load((peer.configs / TRAINRUN).read_text())
        theirs = Server(peer.target, peer.pid, peer.open, [str(peer.configs)], str(folder / "universe.csv"))
        ours = Server(running.target, running.pid, create_session_with_search_paths, None, "frames/universe.csv")
        both = (theirs, ours)
        rows = [*_first_loads(both, document), *_idle(both, document)]
        sessions = [_configured(side, document, _completed(trainrun, data, side)) for side in both]
        rows += [*_statistical(both, sessions), *_inference(both, sessions), *_gradient(both, sessions)]
        return [*rows, *_resolve(both)]


def faster(name: str, theirs: float, ours: float, target: float, unit: str = "s") -> Row:
    """Return the row of something that is to take less than the reference takes by some factor."""
    ratio = theirs / ours
    return Row(
        name, f"{ratio:.3g}x  ({ours:.3g} {unit} against {theirs:.3g} {unit})", f">= {target:g}x", ratio >= target
    )


def _frames() -> Scene:
    with np.load(SCENE) as arrays:
        cube, mask = arrays["cube"].astype(np.float32), (arrays["mask"] != 0).astype(np.int32) * ANOMALY
    cube = cube[..., np.linspace(0, cube.shape[-1] - 1, BANDS).round().astype(int)]
    shifts = [(6 * index, 11 * index) for index in range(FRAMES)]
    return Scene(
        np.stack([np.roll(cube, shift, (0, 1)) for shift in shifts]),
        np.stack([np.roll(mask, shift, (0, 1)) for shift in shifts]),
    )


def _load(side: Server, document: dict[str, Any]) -> str:
    session = side.open(side.stub)
    config = pb.PipelineConfig(config_bytes=json.dumps(document).encode())
    side.stub.LoadPipeline(pb.LoadPipelineRequest(session_id=session, pipeline=config, data_module="npz_multi"))
    return session


def _close(side: Server, session: str) -> None:
    side.stub.CloseSession(pb.CloseSessionRequest(session_id=session))


def _first_loads(both: tuple[Server, Server], document: dict[str, Any]) -> list[Row]:
    """Time the first load of a session: with a cold server, and when others have loaded the same before."""

    def load(side: Server) -> float:
        session = side.open(side.stub)
        config = pb.PipelineConfig(config_bytes=json.dumps(document).encode())
        request = pb.LoadPipelineRequest(session_id=session, pipeline=config, data_module="npz_multi")
        seconds = timed(lambda: side.stub.LoadPipeline(request))
        _close(side, session)
        return seconds

    cold = [load(side) for side in both]
    warm = [statistics.median(load(side) for _ in range(3)) for side in both]
    return [
        faster("first LoadPipeline of a server, against the reference", *cold, 100),
        faster("first LoadPipeline of a session, against the reference", *warm, 100),
    ]


def _idle(both: tuple[Server, Server], document: dict[str, Any]) -> list[Row]:
    """Compare the memory of sessions that hold the pipeline and do nothing."""
    each = []
    for side, count in zip(both, (IDLE_SESSIONS_THERE, IDLE_SESSIONS), strict=True):
        _close(side, _load(side, document))
        before = memory(side.pid)
        sessions = [_load(side, document) for _ in range(count)]
        each.append(max(memory(side.pid) - before, 0) / count / 2**20)
        for session in sessions:
            _close(side, session)
    theirs, ours = each
    return [faster("memory of an idle session with its pipeline, against the reference", theirs, ours, 100, "MiB")]


def _completed(trainrun: dict[str, Any], data: dict[str, Any], side: Server) -> dict[str, Any]:
    """Return the shipped trainrun with our data and number of epochs, without what its callbacks end early."""
    kept = {key: value for key, value in trainrun.items() if key not in ("defaults", "pipeline")}
    callbacks = {key: value for key, value in kept["training"]["callbacks"].items() if key != "early_stopping"}
    training = kept["training"] | {"max_epochs": EPOCHS, "accelerator": "cpu", "enable_progress_bar": False}
    return kept | {
        "training": training | {"callbacks": callbacks},
        "data": data | {"params": {"universe_csv": side.universe}},
    }


def _configured(side: Server, document: dict[str, Any], config: dict[str, Any]) -> str:
    session = _load(side, document)
    section = pb.TrainRunConfig(config_bytes=json.dumps(config).encode())
    side.stub.SetTrainRunConfig(pb.SetTrainRunConfigRequest(session_id=session, config=section))
    return session


def _train(side: Server, session: str, trainer: int) -> list[tuple[float, Any]]:
    """Train to the end; return each message with the time at which it came."""
    told = []
    for message in side.stub.Train(pb.TrainRequest(session_id=session, trainer_type=trainer)):
        told.append((time.perf_counter(), message))
    if told[-1][1].status != pb.TRAIN_STATUS_COMPLETE:
        raise RuntimeError(f"the run at {side.target} ended with: {told[-1][1].message}")
    return told


def _statistical(both: tuple[Server, Server], sessions: list[str]) -> list[Row]:
    theirs, ours = interleaved(
        *(
            lambda side=side, session=session: _train(side, session, pb.TRAINER_TYPE_STATISTICAL)
            for side, session in zip(both, sessions, strict=True)
        ),
        runs=5,
        warm_up=1,
    )
    return [faster("statistical training of four nodes, against the reference", theirs, ours, 3)]


def _inference(both: tuple[Server, Server], sessions: list[str]) -> list[Row]:
    random = np.random.default_rng(0)
    cube = random.random((1, SIDE, SIDE, BANDS), np.float32) * 4000
    batch = pb.InputBatch(cube=numpy_to_proto(cube), wavelengths=numpy_to_proto(WAVELENGTHS[None].astype(np.int32)))

    def pair(specs: list[str]) -> list[float]:
        return interleaved(
            *(
                lambda side=side, session=session: side.stub.Inference(
                    pb.InferenceRequest(session_id=session, inputs=batch, output_specs=specs)
                )
                for side, session in zip(both, sessions, strict=True)
            ),
            runs=15,
            warm_up=3,
        )

    name = f"Inference {SIDE} x {SIDE} x {BANDS}, {{}}, against the reference"
    return [
        faster(name.format("decisions alone"), *pair(["BinaryDecider.decisions"]), 2),
        faster(name.format("all outputs"), *pair([]), 3),
    ]


def _gradient(both: tuple[Server, Server], sessions: list[str]) -> list[Row]:
    """Compare epochs, validation included, by the messages that end them; the first is left out as a warm-up."""
    epochs: tuple[list[float], ...] = ([], [])
    for _ in range(2):
        for side, session, times in zip(both, sessions, epochs, strict=True):
            told = _train(side, session, pb.TRAINER_TYPE_GRADIENT)
            ends = [at for at, message in told if message.event.hook == pb.TRAIN_HOOK_EPOCH_END]
            times += np.diff(ends).tolist()
    theirs, ours = map(statistics.median, epochs)
    ratio = ours / theirs
    detail = f"{ours * 1e3:.0f} ms against {theirs * 1e3:.0f} ms, {len(epochs[1])} epochs"
    return [
        Row("epoch of gradient training, against the reference", f"{ratio:.2f}x  ({detail})", "<= 0.8x", ratio <= 0.8)
    ]


def _resolve(both: tuple[Server, Server]) -> list[Row]:
    """Have many clients compose configurations at once; a call counts as right when its own override came back."""
    (right_there, rate_there), (right, rate) = (resolve.ask_at_once(side.target, side.paths) for side in both)
    every = resolve.CLIENTS * resolve.CALLS
    name = f"{resolve.CLIENTS} clients x {resolve.CALLS} ResolveConfig"
    ratio = rate / max(rate_there, 1e-9)
    return [
        Row(f"{name}, beside the reference's {right_there} right", f"{right} right", f"{every} right", right == every),
        Row(
            f"{name}, right answers a second, against the reference",
            f"{ratio:.3g}x  ({rate:.3g}/s against {rate_there:.3g}/s)",
            ">= 3x",
            ratio >= 3,
        ),
    ]
