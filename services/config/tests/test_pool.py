"""Processes that may hang, die or hoard without harm to anybody else."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from swath.errors import ConfigNotFound, Exhausted, TimedOut, TooLarge, Unavailable
from swath_config.pool import Pool

from . import pool_work as work


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    pool = Pool(2, time_limit_s=20, result_limit=100_000, memory_limit=200_000_000, queue_limit=4)
    yield pool
    await pool.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.02)


def gone(process: int) -> bool:
    try:
        with open(f"/proc/{process}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] in "ZX"
    except FileNotFoundError:
        return True


async def test_calls_run_in_processes_that_are_used_again(pool: Pool) -> None:
    processes = {await pool.call(work.process_id) for _ in range(5)}

    assert len(processes) == 1
    assert os.getpid() not in processes


async def test_calls_run_side_by_side(pool: Pool) -> None:
    numbers = await asyncio.gather(*(pool.call(work.double, number) for number in range(6)))

    assert numbers == [0, 2, 4, 6, 8, 10]


async def test_errors_come_across_with_their_type_and_facts(pool: Pool) -> None:
    with pytest.raises(ConfigNotFound, match="nowhere") as missing:
        await pool.call(work.fail_by_name)
    with pytest.raises(RuntimeError, match="ZeroDivisionError: oops"):
        await pool.call(work.fail_by_accident)

    assert missing.value.metadata == {"path": "x"}


async def test_a_stuck_call_is_stopped_and_its_process_replaced() -> None:
    pool = Pool(1, time_limit_s=1)
    await pool.call(work.double, 1)

    with pytest.raises(TimedOut, match="the call took longer than 1 s"):
        await pool.call(work.spin)

    assert await pool.call(work.double, 4) == 8
    await pool.close()


async def test_a_call_that_takes_its_process_down(pool: Pool) -> None:
    with pytest.raises(Unavailable, match=r"exit code 7"):
        await pool.call(work.die)

    assert await pool.call(work.double, 2) == 4


async def test_results_are_limited(pool: Pool) -> None:
    with pytest.raises(TooLarge, match="more than 100000"):
        await pool.call(work.many_bytes, 100_000)

    assert len(await pool.call(work.many_bytes, 50_000)) == 50_000


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux enforces it")
async def test_memory_is_limited(pool: Pool) -> None:
    with pytest.raises(TooLarge, match="more memory than it may"):
        await pool.call(work.hoard, 2_000_000_000)

    assert await pool.call(work.hoard, 1_000) == 1_000


async def test_a_cancelled_call_ends_its_process_and_harms_no_other(pool: Pool, tmp_path: Path) -> None:
    file = tmp_path / "process"
    call = asyncio.create_task(pool.call(work.report_and_sleep, str(file)))
    await until(lambda: file.exists() and file.read_text() != "")
    process = int(file.read_text())

    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call

    await until(lambda: gone(process))
    assert await pool.call(work.double, 3) == 6


async def test_the_queue_is_bounded() -> None:
    pool = Pool(1, queue_limit=2)
    calls = [asyncio.create_task(pool.call(work.sleep, 0.3)) for _ in range(3)]
    await asyncio.sleep(0)

    with pytest.raises(Exhausted, match="2 calls wait already") as refused:
        await pool.call(work.double, 1)

    assert refused.value.retry_after == 1.0
    await asyncio.gather(*calls)
    await pool.close()


async def test_the_event_loop_goes_on_meanwhile() -> None:
    pool = Pool(1)
    longest, last = 0.0, time.monotonic()
    call = asyncio.create_task(pool.call(work.sleep, 0.3))
    while not call.done():
        await asyncio.sleep(0.005)
        longest, last = max(longest, time.monotonic() - last), time.monotonic()

    assert longest < 0.25  # starting a process and the call itself take longer
    await pool.close()


async def test_closing_gives_calls_up_and_ends_all_processes(tmp_path: Path) -> None:
    pool = Pool(2)
    idle = await pool.call(work.process_id)
    file = tmp_path / "process"
    call = asyncio.create_task(pool.call(work.report_and_sleep, str(file)))
    await until(lambda: file.exists() and file.read_text() != "")

    await pool.close()
    await pool.close()

    with pytest.raises(Unavailable):
        await call
    with pytest.raises(Unavailable, match="the process pool is closed"):
        await pool.call(work.double, 1)
    await until(lambda: gone(idle) and gone(int(file.read_text())))


PARENT = """
import asyncio, sys
from swath_config.pool import Pool
sys.path.insert(0, {folder!r})
import pool_work

async def main():
    pool = Pool(2)
    print(await pool.call(pool_work.process_id), flush=True)
    await pool.call(pool_work.spin)

if __name__ == "__main__":
    asyncio.run(main())
"""


async def test_processes_die_with_the_one_that_made_them(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT.format(folder=str(Path(__file__).parent)))
    parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    worker = int(await asyncio.to_thread(parent.stdout.readline))

    parent.send_signal(signal.SIGKILL)

    await until(lambda: gone(worker))
    await asyncio.to_thread(parent.wait)
    parent.stdout.close()
