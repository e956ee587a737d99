"""A server that a program starts ends with it, whatever ends that: what is killed can stop nobody."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from swath.runtime.guard import Mark

PARENT = """
import sys
from pathlib import Path
from swath_standalone.process import ServerProcess

with ServerProcess(Path(sys.argv[1])) as server:
    print(server.pid, flush=True)
    sys.stdin.read()
"""


def test_a_server_ends_with_a_program_that_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        server = Mark.of(int(parent.stdout.readline()))
        assert server is not None
        parent.kill()
        parent.wait()
        deadline = time.monotonic() + 30
        while server.alive:
            assert time.monotonic() < deadline, "the server goes on without the program that started it"
            time.sleep(0.02)
