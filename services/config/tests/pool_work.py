"""Functions that the pool's tests run in its processes."""

from __future__ import annotations

import os
import time
from pathlib import Path

from swath.errors import ConfigNotFound


def double(number: int) -> int:
    return 2 * number


def process_id() -> int:
    return os.getpid()


def sleep(seconds: float) -> None:
    time.sleep(seconds)


def report_and_sleep(file: str) -> None:
    Path(file).write_text(str(os.getpid()))
    time.sleep(600)


def spin() -> None:
    while True:
        pass


def die() -> None:
    os._exit(7)


def fail_by_name() -> None:
    raise ConfigNotFound("nowhere", metadata={"path": "x"})


def fail_by_accident() -> None:
    raise ZeroDivisionError("oops")


def many_bytes(count: int) -> bytes:
    return bytes(count)


def hoard(count: int) -> int:
    return len(bytearray(count))
