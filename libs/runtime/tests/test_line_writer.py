"""Log lines never wait for who reads them, and tell when they were dropped or repeat."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from typing import IO

import pytest
import structlog

from swath.rpc.line_writer import LineWriter, tell
from swath.runtime.logs import LogHandler, configure_logs, dropped_lines, flush_logs
from swath.runtime.logs.folding import PER_SECOND, Folding
from swath.runtime.settings import ServerSettings


@pytest.fixture
def pipe() -> Iterator[tuple[IO[str], IO[str]]]:
    """The two ends of a pipe, for reading and for writing."""
    numbers = os.pipe()
    with os.fdopen(numbers[0], "r") as reading, os.fdopen(numbers[1], "w") as writing:
        yield reading, writing


def _wait_for(condition: object) -> None:
    assert callable(condition)
    until = time.monotonic() + 30
    while not condition() and time.monotonic() < until:
        time.sleep(0.01)
    assert condition()


def test_lines_beyond_the_bound_are_dropped_counted_and_told_once(pipe: tuple[IO[str], IO[str]]) -> None:
    reading, writing = pipe
    line = "x" * 999 + "\n"
    writer = LineWriter(writing, lambda count: f"dropped {count}\n", limit=100_000)  # type: ignore[arg-type]
    for _ in range(400):  # a pipe holds 65
        writer.put(line)
    dropped = writer.dropped
    assert 400 - 100 - 100 - 66 <= dropped <= 300
    assert not writer.flush(0.1)
    found = [reading.readline() for _ in range(400 - dropped + 1)]
    assert found.count(line) == 400 - dropped
    assert found[-1] == f"dropped {dropped}\n" or f"dropped {dropped}\n" in found
    writer.put("last\n")
    assert reading.readline() == "last\n"


def test_lines_for_a_reader_that_has_gone_are_dropped(pipe: tuple[IO[str], IO[str]]) -> None:
    reading, writing = pipe
    reading.close()
    tell("nobody reads this", writing)  # type: ignore[arg-type]
    writer = LineWriter(writing)  # type: ignore[arg-type]
    writer.put("one\n")
    assert writer.flush(10)
    assert writer.dropped == 1


@pytest.fixture
def logs(pipe: tuple[IO[str], IO[str]]) -> Iterator[IO[str]]:
    """Has the log go into a pipe; gives its other end."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    configure_logs(ServerSettings(log_format="json"), pipe[1])  # type: ignore[arg-type]
    yield pipe[0]
    structlog.reset_defaults()
    root.handlers[:], root.level = before


def test_lines_that_repeat_are_folded_into_one_with_a_count(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    now = [0.0]
    monkeypatch.setattr(Folding.__init__, "__defaults__", (lambda: now[0],))
    logs: IO[str] = request.getfixturevalue("logs")
    log = structlog.get_logger("test")
    for number in range(62):
        log.warning("the disk is full", error="ENOSPC", session=str(number))
    log.warning("another")
    for _ in range(20):
        structlog.get_logger("swath.audit").info("audit", method="/a/B")
    now[0] = 1.1  # all of it was within one second, however long it took
    time.sleep(1.1)
    flush_logs()
    assert dropped_lines() == 0
    # Those of the disk, the other one, the audit's, and the fold.
    lines = [logs.readline() for _ in range(PER_SECOND + 1 + 20 + 1)]
    assert sum('"event": "the disk is full"' in line for line in lines) == PER_SECOND
    assert sum('"event": "audit"' in line for line in lines) == 20
    folded = next(line for line in lines if "more log lines like this" in line)
    assert f'"count": {62 - PER_SECOND}' in folded
    assert "the disk is full" in folded


def test_seconds_are_folded_each_on_its_own() -> None:
    now = [0.0]
    folding = Folding(lambda: now[0])
    record = logging.LogRecord("test", logging.ERROR, "", 0, "no", (), None)
    assert sum(folding.admit(record) for _ in range(20)) == PER_SECOND
    assert folding.take() == []
    now[0] = 1.5
    assert [count for _, count in folding.take()] == [20 - PER_SECOND]
    assert sum(folding.admit(record) for _ in range(PER_SECOND)) == PER_SECOND
    now[0] = 3.0
    assert folding.take() == []


def test_a_line_is_made_when_it_is_logged(logs: IO[str]) -> None:
    fact = ["then"]
    structlog.get_logger("test").warning("look", files=fact)
    fact[0] = "now"
    assert '"then"' in logs.readline()
    assert isinstance(logging.getLogger().handlers[0], LogHandler)
