"""A command runs while every core is kept busy, and nothing goes on after it."""

import sys

import pytest

from tools import busy

_COUNT = """
import os, pathlib, sys
spinning = 0
for each in pathlib.Path("/proc").glob("[0-9]*/stat"):
    try:
        parent = each.read_text().rpartition(")")[2].split()[1]
        words = (each.parent / "cmdline").read_bytes().split(bytes(1))
    except OSError:
        continue
    spinning += parent == str(os.getppid()) and b"while True: pass" in words
sys.exit(spinning)
"""


@pytest.mark.parametrize("cores", [1, 3])
def test_each_core_has_a_process_that_spins(cores: int) -> None:
    assert busy.main([sys.executable, "-c", _COUNT], cores) == cores


def test_nothing_goes_on_after_the_command() -> None:
    busy.main([sys.executable, "-c", "pass"], 2)
    assert busy.main([sys.executable, "-c", _COUNT], 1) == 1
