"""The rounds: each kind of call to each server in turn, while the others stand still."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import grpc
import numpy as np

from benchmarks.serving import ghz, weights
from benchmarks.serving.dialects import NotOffered, Segment
from benchmarks.serving.messages import ROOT
from benchmarks.serving.models import Bare
from benchmarks.serving.results import Journal
from benchmarks.serving.side import Side, WrongAnswer
from benchmarks.serving.sides import FLOORS, UNBATCHED_NAME, Sides
from benchmarks.serving.works import WORKS, Work
from swath.errors import TimedOut, Unavailable

_WARM_UP_S = 0.3


class Run:
    """One run; as a context manager it stops the servers that it started.

    Args:
        folder: Where everything of the run goes.
        journal: What has been measured.
        works: What is asked.
        say: Told what goes on.

    Attributes:
        sides: Servers that run, by name.
        bare: The models.
    """

    def __init__(self, folder: Path, journal: Journal, works: Sequence[Work], say: Callable[[str], None]) -> None:
        self._folder = folder
        self._journal = journal
        self._works = works
        self._say = say
        self._segments: list[SharedMemory] = []
        self.sides: dict[str, Side] = {}
        weights.write(folder)
        self.bare = Bare(folder / weights.ARRAYS)
        self._right = {work.name: self.bare.answer(work.model, work.array()) for work in WORKS}
        self.makers = Sides(folder)
        self._write_replies()

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        for side in self.sides.values():
            with contextlib.suppress(Exception):  # the others are to be stopped as well
                side.stop()
        for segment in self._segments:
            segment.close()
            segment.unlink()

    def _write_replies(self) -> None:
        dialect, files = self.makers.floor_dialect(), {}
        for work in WORKS:
            if not work.shared:
                length = len(dialect.request(work.model, work.array()))
                files[length] = str(self._folder / f"{work.name.partition('@')[0]}.reply")
                Path(files[length]).write_bytes(dialect.reply(work.model, self._right[work.name]))
        (self._folder / "replies.json").write_text(json.dumps(files))

    def start(self, name: str, make: Callable[[], Side]) -> None:
        """Start a server and freeze it; one that does not start is written down as absent."""
        work, side = WORKS[0], None
        self._say(f"starting {name}")
        try:
            side = make()
            side.start(work.model, work.array(), self._right[work.name])
        except Exception as error:  # whatever it is, the others are to be measured
            told = str(error).strip() or repr(error)
            self._journal.add(("absent", name), told[-1500:])
            self._say(f"{name} is not measured: {told[-300:]}")
            if side is not None:
                side.stop()
            return
        known = {"version": side.version, "note": side.note, "ready_s": side.ready_s}
        if ("server", name) not in self._journal:
            self._journal.add(("server", name), known)
        side.freeze()
        self.sides[name] = side

    @contextlib.contextmanager
    def awake(self, side: Side) -> Iterator[None]:
        """Let one server run."""
        side.thaw()
        try:
            yield
        finally:
            side.freeze()

    def rounds(self, count: int) -> None:
        """Measure every work on every server, so many times."""
        for number in range(count):
            self._forward(number)
            for work in self._works:
                for side in list(self.sides.values()):
                    key = ("calls", str(number), work.name, side.name)
                    if key not in self._journal and wanted(work, side.name):
                        self._journal.add(key, self._measured(work, side))
                        self._say(f"round {number + 1}, {work.name}, {side.name}: {_told(self._journal[key])}")

    def _measured(self, work: Work, side: Side) -> dict[str, object]:
        with self.awake(side):
            try:
                side.wait(WORKS[0].model, WORKS[0].array())
                return self._calls(work, side).to_json()
            except grpc.RpcError as error:
                details = error.details()  # pyright: ignore[reportAttributeAccessIssue]
                return {"error": f"{error.code().name}: {details}"}  # pyright: ignore[reportAttributeAccessIssue]
            except (
                ghz.CallsFailed,
                NotOffered,
                TimedOut,
                Unavailable,
                WrongAnswer,
                subprocess.TimeoutExpired,
            ) as error:
                return {"error": str(error)}

    def _calls(self, work: Work, side: Side) -> ghz.Figures:
        request = self._request(work, side)
        side.check(work.model, request, self._right[work.name])
        end = time.perf_counter() + _WARM_UP_S
        while time.perf_counter() < end:
            side.call(request, calls=max(1, work.concurrency))
        file = self._folder / "request"
        file.write_bytes(request)
        command = ghz.command(
            side.target,
            method=side.dialect.method,
            protoset=side.dialect.protoset,
            request=file,
            concurrency=work.concurrency,
            seconds=work.seconds,
        )
        before = side.process.cpu_s()
        figures = ghz.run(command, work.seconds)
        return replace(figures, cpu_ms=(side.process.cpu_s() - before) * 1e3 / figures.calls)

    def _request(self, work: Work, side: Side) -> bytes:
        x = work.array()
        if not work.shared:
            return side.dialect.request(work.model, x)
        segment = self._share(f"swath-bench-{os.getpid()}-{side.name}", x)
        request = side.dialect.shared_request(work.model, segment)
        if registration := side.dialect.registration(segment):
            method, told = registration
            try:
                side.call(told, method=method)
            except grpc.RpcError as error:
                code = error.code()  # pyright: ignore[reportAttributeAccessIssue]
                if code == grpc.StatusCode.UNIMPLEMENTED:
                    raise NotOffered("it offers no shared memory") from error
                if code != grpc.StatusCode.ALREADY_EXISTS:
                    raise
        return request

    def _share(self, name: str, x: np.ndarray) -> Segment:
        if all(held.name != name for held in self._segments):
            held = SharedMemory(name, create=True, size=x.nbytes)
            self._segments.append(held)
            np.ndarray(x.shape, x.dtype, held.buf)[:] = x
        return Segment(name, x.shape)

    def _forward(self, number: int) -> None:
        key = ("forward", str(number))
        names = [work.name for work in self._works if not work.shared]
        if key in self._journal or not names:
            return
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.serving.floors", "forward", *names],
            cwd=ROOT,
            env=os.environ | {"BENCH_WEIGHTS": str(self._folder / weights.ARRAYS)},
            capture_output=True,
            text=True,
            check=True,
        )
        self._journal.add(key, json.loads(done.stdout))


def wanted(work: Work, side: str) -> bool:
    """Whether a work is measured on a server."""
    if side == UNBATCHED_NAME:
        return work.name in ("tiny@64", "mlp@64")
    return side in work.floors or side not in FLOORS


def _told(value: dict[str, object]) -> str:
    if "error" in value:
        return str(value["error"])
    return f"{value['rate']:.0f}/s, p50 {value['p50_ms']:.3g} ms, CPU {value['cpu_ms']:.3g} ms"
