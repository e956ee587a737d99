"""Large blocks of memory that are freed and taken again."""

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

from swath.runtime.allocator import keep_freed_memory

# Page faults of ten blocks of 64 MiB, one after another, each from a thread of its own as in gRPC; the second block of
# each thread counts. Then what stays resident.
BLOCKS = """
import json, resource, sys, threading
from swath.runtime.allocator import give_back_memory, keep_freed_memory

MIB = 1 << 20

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() // MIB

def block(size):
    thread = threading.Thread(target=lambda: bytearray(size * MIB).find(b"x"))
    thread.start()
    thread.join()

told = keep_freed_memory(int(sys.argv[1]) * MIB)
before = resident()
block(64)
faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    block(64)
faults = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - faults
kept = resident() - before
block(700)
large = resident() - before
give_back_memory()
print(json.dumps([told, faults, kept, large, resident() - before]))
"""

PAGES = 64 * 256
"""Pages of 4 KiB in 64 MiB."""


def _measured(kept_mib: int) -> list[int]:
    done = subprocess.run(
        [sys.executable, "-c", BLOCKS, str(kept_mib)], check=True, capture_output=True, text=True, timeout=120
    )
    return json.loads(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="of glibc")
def test_blocks_that_come_again_cost_no_pages_and_what_is_kept_has_a_limit():
    told, faults, kept, large, given_back = _measured(256)
    assert told
    assert faults < PAGES
    assert 60 <= kept <= 140
    assert large < 256
    assert given_back < 60


@pytest.mark.skipif(sys.platform != "linux", reason="of glibc")
def test_by_default_each_block_is_taken_from_the_kernel_anew():
    told, faults, kept, _, _ = _measured(0)
    assert not told
    assert faults > 9 * PAGES
    assert kept < 60


def test_other_allocators_are_left_alone():
    assert not keep_freed_memory(2**30, library=SimpleNamespace())


def test_an_allocator_that_refuses_is_told_nothing_more_than_all_of_it():
    asked = []
    library = SimpleNamespace(mallopt=lambda what, value: asked.append((what, value)) or 0)
    assert not keep_freed_memory(2**40, library=library)
    assert max(value for _, value in asked) < 2**31
