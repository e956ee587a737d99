"""Hosts as processes of their own: what is left when they end, and when what replicas are forked from ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from swath.serve.launch.local import words
from swath.serve.launch.port import Environment

DRIVER = """
import os, sys, time
from swath import serve

class Own(Exception):
    pass

@serve.deployment(graceful_shutdown_timeout_s=0.5)
class Mine:
    def __call__(self): return os.getpid(), os.getppid()
    def fails(self): raise Own("mine")
    def block(self): time.sleep(600)
    def double(self, value): return Value(2 * value.number)

class Value:
    def __init__(self, number): self.number = number

if __name__ == "__main__":
    handle = serve.run(Mine.bind(), name="mine", route_prefix=None)
    print(*handle.remote().result(), flush=True)
    try:
        handle.fails.remote().result()
    except Own:
        print("own", flush=True)
    value = handle.double.remote(Value(4)).result()
    print(type(value) is Value, value.number, flush=True)
    handle.block.remote()
    sys.stdin.readline()
"""


def _gone(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _until(so: Callable[[], Any]) -> None:
    end = time.monotonic() + 20
    while not so():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.fixture
def driver(tmp_path: Path) -> Any:
    (tmp_path / "driver.py").write_text(DRIVER)
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "driver.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    yield process
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        assert stream is not None
        stream.close()


def test_classes_of_a_script_go_to_replicas_and_back(driver: Any) -> None:
    replica, template = map(int, driver.stdout.readline().split())
    assert driver.stdout.readline() == "own\n"
    assert driver.stdout.readline() == "True 8\n"
    assert replica not in (driver.pid, template)
    # It ends by itself, and leaves nothing, though a handler of its still runs.
    driver.stdin.write("\n")
    driver.stdin.flush()
    driver.wait(60)
    _until(lambda: _gone(replica) and _gone(template))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not end processes with their parent")
def test_a_killed_host_leaves_nothing_though_a_handler_blocks(driver: Any) -> None:
    replica, template = map(int, driver.stdout.readline().split())
    driver.stdout.readline()
    driver.stdout.readline()
    os.kill(driver.pid, signal.SIGKILL)
    _until(lambda: _gone(replica) and _gone(template))


async def test_what_replicas_are_forked_from_is_started_again() -> None:
    from swath.serve.launch.local import LocalLauncher

    launcher = LocalLauncher()
    try:
        first = await launcher.start(Environment())
        first.socket.close()
        os.kill(_parent(first.pid), signal.SIGKILL)
        assert await first.ended() == "ended with the process that it was forked from"
        second = await launcher.start(Environment())
        second.kill()
        assert (await second.ended()).startswith("ended by SIGKILL")
        second.socket.close()
    finally:
        await launcher.close()


async def test_code_that_starts_threads_when_imported_is_not_forked_with_them(tmp_path: Path) -> None:
    from swath.serve.launch.local import LocalLauncher

    (tmp_path / "with_thread.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(600,)).start()\n"
    )
    launcher = LocalLauncher()
    try:
        process = await launcher.start(Environment((str(tmp_path),), ("with_thread",)))

        def command() -> str:
            return Path(f"/proc/{process.pid}/cmdline").read_text()

        _until(lambda: '"alone": true' in command())
        process.socket.close()
        assert await process.ended() == "exited with status 0"
    finally:
        await launcher.close()


@pytest.mark.parametrize(
    ("status", "text"), [(9, "ended by SIGKILL: killed"), (11, "ended by SIGSEGV"), (7 << 8, "exited with status 7")]
)
def test_ends_are_told_in_words(status: int, text: str) -> None:
    assert words(status).startswith(text)
