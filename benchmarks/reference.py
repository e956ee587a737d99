"""The same calls on the reference server and on ours, in turn, with the pipeline that both ship.

Both run as a person would start them: one process, defaults, all cores. What they train on are 64 frames of San Diego,
100 x 100 pixels of 61 channels, each shifted another way, every other one for training; what they infer on is a frame
of 256 x 256 pixels. While one is timed the other one's processes stand still.
"""

from __future__ import annotations

import json
import mmap
import os
import signal
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks import resolve
from benchmarks.harness import SCENE, Row, server, timed
from benchmarks.peer import Peer
from swath.client import build_stub, create_session_with_search_paths, numpy_to_proto
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath_suite.process import descendants
from tools.parity.cases.case import BANDS, WAVELENGTHS
from tools.parity.example_scenes import ExampleScene, bands_of
from tools.parity.trainruns import without_pictures

PIPELINE = "pipeline/anomaly/rx/channel_selector.yaml"
TRAINRUN = "trainrun/channel_selector.yaml"
FRAMES, BATCH, EPOCHS, SIDE = 64, 4, 4, 256
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

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Have its processes stand still, so that what they do when nobody asks them costs the other one nothing."""
        processes = (self.pid, *descendants(self.pid))
        _tell(processes, signal.SIGSTOP)
        try:
            yield
        finally:
            _tell(processes, signal.SIGCONT)


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
        configs = [_completed(trainrun, data, side) for side in both]
        sessions = [_configured(side, document, config) for side, config in zip(both, configs, strict=True)]
        rows += [_statistical(both, sessions), *_inference(both, sessions)]
        rows.append(_gradient("epoch of gradient training", both, sessions))
        plain = without_pictures(document)
        sessions = [_configured(side, plain, config) for side, config in zip(both, configs, strict=True)]
        _statistical(both, sessions)
        rows.append(_gradient("epoch of gradient training, nothing drawn", both, sessions))
        return [*rows, *_resolve(both)]


def _tell(processes: Iterable[int], what: signal.Signals) -> None:
    for process in processes:
        with suppress(ProcessLookupError):  # the worker of a run that has ended
            os.kill(process, what)


Both = tuple[Server, Server]


def _in_turn(both: Both, *works: Callable[[], object], bursts: int, calls: int = 4) -> list[float]:
    """Return the median seconds of a call to each: in bursts in turn, while the other stands still.

    The first call of a burst is left out, as are both first bursts: caches are then the other one's.
    """
    times: tuple[list[float], ...] = ([], [])
    for burst in range(bursts + 1):
        for work, other, column in zip(works, reversed(both), times, strict=True):
            with other.stopped():
                seconds = [timed(work) for _ in range(calls + 1)][1:]
            if burst:
                column += seconds
    return [statistics.median(column) for column in times]


def faster(name: str, figures: Sequence[float], target: float, unit: str = "s") -> Row:
    """Return the row of something that is to take less than the reference takes by some factor."""
    theirs, ours = figures
    ratio = theirs / ours
    return Row(
        name, f"{ratio:.3g}x  ({ours:.3g} {unit} against {theirs:.3g} {unit})", f">= {target:g}x", ratio >= target
    )


def _frames() -> ExampleScene:
    cube, mask = bands_of(SCENE)
    shifts = [(6 * index, 11 * index) for index in range(FRAMES)]
    return ExampleScene(
        np.stack([np.roll(cube, shift, (0, 1)) for shift in shifts]),
        np.stack([np.roll(mask, shift, (0, 1)) for shift in shifts]),
    )


def _opened(side: Server, document: dict[str, Any]) -> pb.LoadPipelineRequest:
    """Open a session and return the request that loads the pipeline in it."""
    config = pb.PipelineConfig(config_bytes=json.dumps(document).encode())
    return pb.LoadPipelineRequest(session_id=side.open(side.stub), pipeline=config, data_module="npz_multi")


def _load(side: Server, document: dict[str, Any]) -> str:
    request = _opened(side, document)
    side.stub.LoadPipeline(request)
    return request.session_id


def _close(side: Server, session: str) -> None:
    side.stub.CloseSession(pb.CloseSessionRequest(session_id=session))


def _first_loads(both: Both, document: dict[str, Any]) -> list[Row]:
    """Time the first load of a session: with a cold server, and when others have loaded the same before."""

    def load(side: Server, other: Server) -> float:
        request = _opened(side, document)
        with other.stopped():
            seconds = timed(lambda: side.stub.LoadPipeline(request))
        _close(side, request.session_id)
        return seconds

    pairs = list(zip(both, reversed(both), strict=True))
    cold = [load(*pair) for pair in pairs]
    warm = [statistics.median(load(*pair) for _ in range(3)) for pair in pairs]
    return [
        faster("first LoadPipeline of a server, against the reference", cold, 100),
        faster("first LoadPipeline of a session, against the reference", warm, 100),
    ]


def _memory(pid: int) -> int:
    """Return the bytes of a process and all below it, shared pages divided among those that share them."""
    total = 0
    for process in (pid, *descendants(pid)):
        with suppress(OSError):  # it has ended meanwhile
            lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
            total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total


def _idle(both: Both, document: dict[str, Any]) -> list[Row]:
    """Compare the memory of sessions that hold the pipeline and do nothing."""
    each = []
    for side, count in zip(both, (IDLE_SESSIONS_THERE, IDLE_SESSIONS), strict=True):
        _close(side, _load(side, document))
        before = _memory(side.pid)
        sessions = [_load(side, document) for _ in range(count)]
        # Less than a page in all cannot be told.
        each.append(max(_memory(side.pid) - before, mmap.PAGESIZE) / count / 2**20)
        for session in sessions:
            _close(side, session)
    return [faster("memory of an idle session with its pipeline, against the reference", each, 100, "MiB")]


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


def _train(side: Server, session: str, trainer: pb.TrainerType) -> list[tuple[float, Any]]:
    """Train to the end; return each message with the time at which it came."""
    told = []
    for message in side.stub.Train(pb.TrainRequest(session_id=session, trainer_type=trainer)):
        told.append((time.perf_counter(), message))
    if told[-1][1].status != pb.TRAIN_STATUS_COMPLETE:
        raise RuntimeError(f"the run at {side.target} ended with: {told[-1][1].message}")
    return told


def _statistical(both: Both, sessions: list[str]) -> Row:
    seconds = _in_turn(
        both,
        *(
            lambda side=side, session=session: _train(side, session, pb.TRAINER_TYPE_STATISTICAL)
            for side, session in zip(both, sessions, strict=True)
        ),
        bursts=2,
        calls=2,
    )
    return faster(f"statistical training of four nodes on {FRAMES // 2} frames, against the reference", seconds, 3)


def _inference(both: Both, sessions: list[str]) -> list[Row]:
    random = np.random.default_rng(0)
    cube = random.random((1, SIDE, SIDE, BANDS), np.float32) * 4000
    batch = pb.InputBatch(cube=numpy_to_proto(cube), wavelengths=numpy_to_proto(WAVELENGTHS[None].astype(np.int32)))

    def pair(specs: list[str]) -> list[float]:
        return _in_turn(
            both,
            *(
                lambda side=side, session=session: side.stub.Inference(
                    pb.InferenceRequest(session_id=session, inputs=batch, output_specs=specs)
                )
                for side, session in zip(both, sessions, strict=True)
            ),
            bursts=4,
        )

    name = f"Inference {SIDE} x {SIDE} x {BANDS}, {{}}, against the reference"
    return [
        faster(name.format("decisions alone"), pair(["BinaryDecider.decisions"]), 2),
        faster(name.format("all outputs"), pair([]), 3),
    ]


def _gradient(name: str, both: Both, sessions: list[str]) -> Row:
    """Compare epochs, validation included, by the messages that end them; the first is left out as a warm-up."""
    medians = []
    for side, other, session in zip(both, reversed(both), sessions, strict=True):
        with other.stopped():
            told = _train(side, session, pb.TRAINER_TYPE_GRADIENT)
        ends = [at for at, message in told if message.event.hook == pb.TRAIN_HOOK_EPOCH_END]
        medians.append(statistics.median(np.diff(ends)))
    theirs, ours = medians
    detail = f"{ours:.3g} s against {theirs:.3g} s"
    return Row(f"{name}, against the reference", f"{ours / theirs:.2f}x  ({detail})", "<= 0.8x", ours <= 0.8 * theirs)


def _resolve(both: Both) -> list[Row]:
    """Have many clients compose configurations at once; a call counts as right when its own override came back."""
    answers = []
    for side, other in zip(both, reversed(both), strict=True):
        with other.stopped():
            answers.append(resolve.ask_at_once(side.target, side.paths))
    (right_there, rate_there), (right, rate) = answers
    every = resolve.CLIENTS * resolve.CALLS
    name = f"{resolve.CLIENTS} clients x {resolve.CALLS} ResolveConfig"
    ratio = rate / max(rate_there, 1e-9)
    return [
        Row(f"{name}, beside the reference's {right_there} right", f"{right} right", f"{every} right", right == every),
        Row(
            f"{name}, right answers per second, against the reference",
            f"{ratio:.3g}x  ({rate:.3g}/s against {rate_there:.3g}/s)",
            ">= 3x",
            ratio >= 3,
        ),
    ]
