"""Processes of a suite end with the one that started them, unless they are let go."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from swath.runtime.guard import Mark, watch

PARENT = """
import sys, threading
from pathlib import Path
from swath_suite.process import Process

folder = Path(sys.argv[1])

def start(name, command):
    process = Process(name, ["sh", "-c", command], {}, folder / f"{name}.log")
    # From a thread that is gone before the process is.
    thread = threading.Thread(target=process.start)
    thread.start()
    thread.join()
    return process

tied = start("tied", "sleep 300 & echo $! > child; exec sleep 300")
free = start("free", "exec sleep 300")
free.let_go()
stopped = start("stopped", "exec sleep 300")
stopped.stop()
print(tied.pid, free.pid, flush=True)
# Whoever marks them must have done so before this ends.
sys.stdin.read()
"""


def _gone(marks: list[Mark]) -> bool:
    deadline = time.monotonic() + 30
    while any(mark.alive for mark in marks):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _mark(pid: int) -> Mark:
    found = Mark.of(pid)
    assert found is not None
    return found


@pytest.fixture
def started(tmp_path: Path) -> Callable[[], tuple[subprocess.Popen[str], list[Mark], Mark]]:
    """Starts a parent that ends with its input; gives it, its processes that are tied to it, and one that is not."""

    def start() -> tuple[subprocess.Popen[str], list[Mark], Mark]:
        command = [sys.executable, "-c", PARENT, str(tmp_path)]
        parent = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tmp_path)
        assert parent.stdout is not None
        tied, free = map(int, parent.stdout.readline().split())
        child = int((tmp_path / "child").read_text())
        return parent, [_mark(tied), _mark(child)], _mark(free)

    return start


@pytest.mark.parametrize("end", ["killed", "over"])
def test_processes_end_with_their_parent_however_that_ends(
    started: Callable[[], tuple[subprocess.Popen[str], list[Mark], Mark]], end: str
) -> None:
    parent, tied, free = started()
    try:
        if end == "killed":
            # The threads that started them have ended: that is not their parent's end.
            time.sleep(0.3)
            assert all(mark.alive for mark in tied)
            parent.kill()
        parent.communicate()
        assert _gone(tied)
        assert free.alive
    finally:
        os.kill(free.pid, signal.SIGKILL)


def test_another_process_with_the_id_of_one_that_ended_is_left_alone() -> None:
    with subprocess.Popen(["sleep", "300"], start_new_session=True) as other:
        mark = _mark(other.pid)
        watch([f"+ {mark.pid} {mark.started - 1}\n"])
        assert mark.alive
        watch([f"+ {mark.pid} {mark.started}\n", f"- {mark.pid} {mark.started}\n"])
        assert mark.alive
        watch([f"+ {mark.pid} {mark.started}\n"])
        assert other.wait(30) == -signal.SIGKILL
