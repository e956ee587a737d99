"""Calls without a pause, each of which is checked: which version answered, and whether with that version's bits."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import grpc
import grpc.aio
from connection import Connection

from swath.inference import open_inference_pb2 as pb

METHOD = "/inference.GRPCInferenceService/ModelInfer"
SETTLED_S = 2.0
"""After which a change of an alias counts as known: replicas know of it within a second, busy machines take longer."""


@dataclass
class Row:
    """What calls of one part of the walk came to.

    Attributes:
        title: Which part.
        answers: How many each version answered, with its own bits and while it was live.
        wrong: Answers of versions that were not live, or with other bits than the version has.
        failed: Calls that ended with an error.
    """

    title: str
    answers: Counter[int] = field(default_factory=Counter)
    wrong: int = 0
    failed: int = 0

    @property
    def calls(self) -> int:
        """How many there were."""
        return self.answers.total() + self.wrong + self.failed


class Load:
    """Calls a model by its name, from a thread of its own. Use it as a context manager.

    Args:
        server: Where it goes.
        request: What is sent again and again. It names no version.
        version: The one that answers at first.
        scores: Its answer, as bytes.
        at_a_time: Calls that wait for their answers.

    Attributes:
        rows: What was counted.
        complaints: The first few calls that failed or were answered wrongly, in words.
        expected: The answer of each version.
    """

    def __init__(
        self, server: Connection, request: pb.ModelInferRequest, version: int, scores: bytes, at_a_time: int = 16
    ) -> None:
        self._server = server
        self._request = request.SerializeToString()
        self._at_a_time = at_a_time
        self._row = Row("while the alias moved")
        self._between = self._row
        self._live: list[tuple[float, frozenset[int]]] = [(0.0, frozenset({version}))]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._calls()), name="load", daemon=True)
        self.rows: list[Row] = []
        self.complaints: list[str] = []
        self.expected = {version: scores}

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()
        self.rows.append(self._between)

    @contextmanager
    def part(self, title: str, calls: int) -> Iterator[Row]:
        """Count in a row of its own while a block runs, and until so many calls were made."""
        row = self._row = Row(title)
        self.rows.append(row)
        yield row
        while row.calls < calls and self._thread.is_alive():
            time.sleep(0.02)
        self._row = self._between

    @contextmanager
    def change(self, *versions: int) -> Iterator[None]:
        """Move the alias in a block: what was live may answer until that is known, and what will be live at once."""
        now = time.monotonic()
        past = [each for each in self._live if each[0] <= now]
        self._live = [*past, (now, self._live_between(now, now + 2 * SETTLED_S) | frozenset(versions))]
        yield
        known = time.monotonic() + SETTLED_S
        self._live = [*self._live, (known, frozenset(versions))]
        time.sleep(SETTLED_S)

    def _live_between(self, begin: float, end: float) -> frozenset[int]:
        """Return the versions that were live at any time between two."""
        history = self._live
        ends = [since for since, _ in history[1:]] + [float("inf")]
        spans = zip(history, ends, strict=True)
        return frozenset().union(*(versions for (since, versions), until in spans if since <= end and until >= begin))

    async def _calls(self) -> None:
        async with self._server.channel() as channel:
            call: Any = channel.unary_unary(METHOD, response_deserializer=pb.ModelInferResponse.FromString)
            await asyncio.gather(*(self._one_after_the_other(call) for _ in range(self._at_a_time)))

    async def _one_after_the_other(self, call: Any) -> None:
        while not self._stop.is_set():
            row, begun = self._row, time.monotonic()
            try:
                answer = await call(self._request, timeout=60, metadata=self._server.metadata)
            except grpc.aio.AioRpcError as error:
                row.failed += 1
                self._complain(f"{error.code().name}: {error.details()}")
                await asyncio.sleep(0.05)
                continue
            complaint = self._fault(answer, self._live_between(begun, time.monotonic()))
            if complaint:
                row.wrong += 1
                self._complain(complaint)
            else:
                row.answers[int(answer.model_version)] += 1

    def _fault(self, answer: pb.ModelInferResponse, live: frozenset[int]) -> str:
        version = int(answer.model_version)
        if version not in live:
            return f"version {version} answered, live were {sorted(live)}"
        if answer.raw_output_contents[0] != self.expected[version]:
            return f"version {version} answered with other bits than it gave in its session"
        return ""

    def _complain(self, words: str) -> None:
        if len(self.complaints) < 5:
            self.complaints.append(words)
