"""Runs a command while every core is kept busy: ``python -m tools.busy COMMAND [ARGUMENT ...]``.

What holds on a machine at a third of its speed holds on one that is shared.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

_SPIN = "while True: pass"


def main(command: Sequence[str], cores: int | None = None) -> int:
    """Run a command beside one spinning process per core; return its exit status."""
    spinning = [subprocess.Popen([sys.executable, "-c", _SPIN]) for _ in range(cores or os.cpu_count() or 1)]
    try:
        return subprocess.run(command).returncode
    finally:
        for each in spinning:
            each.kill()
            each.wait()


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
