"""Processes that may hang, die or hoard without harm to anybody else.

The functions that run in them are the standard library's, because a process must be able to import what it runs.
"""

from __future__ import annotations

import asyncio
import json
import operator
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from swath.documents import parse
from swath.errors import DocumentInvalid, Exhausted, TimedOut, TooLarge, Unavailable
from swath_config.pool import Pool


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    pool = Pool(2, time_limit_s=20, result_limit=100_000, memory_limit=200_000_000, queue_limit=4)
    yield pool
    await pool.close()


def gone(process: int) -> bool:
    """Wait up to 20 s for a process to end, and tell whether it did."""
    for _ in range(1_000):
        try:
            os.kill(process, 0)
            with open(f"/proc/{process}/stat") as stat:
                if stat.read().rsplit(")", 1)[1].split()[0] in "ZX":
                    return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.02)
    return False


async def test_calls_run_in_processes_that_are_used_again(pool: Pool) -> None:
    processes = {await pool.call(os.getpid) for _ in range(5)}

    assert len(processes) == 1
    assert os.getpid() not in processes


async def test_calls_run_side_by_side(pool: Pool) -> None:
    numbers = await asyncio.gather(*(pool.call(operator.mul, 2, number) for number in range(6)))

    assert numbers == [0, 2, 4, 6, 8, 10]


async def test_errors_come_across_with_their_type_and_facts(pool: Pool) -> None:
    with pytest.raises(DocumentInvalid, match="validation error for DataConfig") as refused:
        await pool.call(parse, "data", {"batch_size": 0})
    with pytest.raises(RuntimeError, match="ZeroDivisionError: division by zero"):
        await pool.call(operator.truediv, 1, 0)

    assert refused.value.metadata == {"kind": "data"}


async def test_a_stuck_call_is_stopped_and_its_process_replaced() -> None:
    # Long enough for a new process to come up in, also where other work keeps the machine busy.
    pool = Pool(1, time_limit_s=4)
    process = await pool.call(os.getpid)

    with pytest.raises(TimedOut, match="the call took longer than 4 s"):
        await pool.call(time.sleep, 600)

    assert await pool.call(operator.mul, 2, 4) == 8
    assert await asyncio.to_thread(gone, process)
    await pool.close()


async def test_a_call_that_takes_its_process_down(pool: Pool) -> None:
    with pytest.raises(Unavailable, match="exit code 7"):
        await pool.call(os._exit, 7)

    assert await pool.call(operator.mul, 2, 2) == 4


async def test_results_are_limited(pool: Pool) -> None:
    with pytest.raises(TooLarge, match="more than 100000"):
        await pool.call(bytes, 100_000)

    assert len(await pool.call(bytes, 50_000)) == 50_000


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux enforces it")
async def test_memory_is_limited(pool: Pool) -> None:
    with pytest.raises(TooLarge, match="more memory than it may"):
        await pool.call(bytes, 2_000_000_000)

    assert await pool.call(operator.mul, 2, 3) == 6


async def test_a_cancelled_call_ends_its_process_and_harms_no_other(pool: Pool) -> None:
    process = await pool.call(os.getpid)
    call = asyncio.create_task(pool.call(time.sleep, 600))
    await asyncio.sleep(0.1)

    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    assert await asyncio.to_thread(gone, process)
    assert await pool.call(operator.mul, 2, 3) == 6


async def test_the_queue_is_bounded() -> None:
    pool = Pool(1, queue_limit=2)
    calls = [asyncio.create_task(pool.call(time.sleep, 0.1)) for _ in range(3)]
    await asyncio.sleep(0)

    with pytest.raises(Exhausted, match="2 calls wait already") as refused:
        await pool.call(os.getpid)

    assert refused.value.retry_after == 1.0
    await asyncio.gather(*calls)
    await pool.close()


async def test_a_waiting_call_that_is_cancelled_is_never_run(tmp_path: Path) -> None:
    pool = Pool(1)
    first = asyncio.create_task(pool.call(time.sleep, 0.3))
    waiting = asyncio.create_task(pool.call(os.mkdir, str(tmp_path / "made")))
    await asyncio.sleep(0)

    waiting.cancel()
    await first

    assert await pool.call(os.path.exists, str(tmp_path / "made")) is False
    await pool.close()


async def test_closing_gives_calls_up_and_ends_all_processes() -> None:
    pool = Pool(2)
    process = await pool.call(os.getpid)
    call = asyncio.create_task(pool.call(time.sleep, 600))
    await asyncio.sleep(0.1)

    await pool.close()
    await pool.close()

    with pytest.raises(Unavailable):
        await call
    with pytest.raises(Unavailable, match="the process pool is closed"):
        await pool.call(os.getpid)
    assert await asyncio.to_thread(gone, process)


PARENT = """
import asyncio, os, time
from swath_config.pool import Pool

async def main():
    pool = Pool(1)
    print(await pool.call(os.getpid), flush=True)
    await pool.call(time.sleep, 600)

if __name__ == "__main__":
    asyncio.run(main())
"""


def test_processes_die_with_the_one_that_made_them(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())

        parent.send_signal(signal.SIGKILL)

        assert gone(worker)


async def test_log_lines_of_processes_carry_trace_and_session_of_the_call_that_they_work_for() -> None:
    # In a program of its own: what starts processes keeps the standard error that it was started with.
    program = """
import asyncio, operator, structlog
from swath.runtime.logs import Telemetry
from swath_config.pool import Pool

async def main():
    pool = Pool(1, telemetry=Telemetry("json"))
    for trace in ("a" * 32, "b" * 32):
        with structlog.contextvars.bound_contextvars(trace=trace, session="s"):
            await asyncio.gather(pool.call(operator.truediv, 1, 0), return_exceptions=True)
    await pool.close()

if __name__ == "__main__":
    asyncio.run(main())
"""
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [(line["trace"], line["session"]) for line in lines] == [("a" * 32, "s"), ("b" * 32, "s")]
    assert all(line["exception"][0]["exc_type"] == "ZeroDivisionError" for line in lines)
