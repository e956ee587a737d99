"""Runs the tests of nodes as lesser processors would: ``python -m tools.processors [PYTEST ARGUMENT ...]``.

PyTorch has code for processors with AVX-512, with AVX2 and with neither, whose rounding differs. What a node decides by
a comparison must not. Each run is one process of pytest, as the choice is made when torch is loaded. That of the
machine's own kind is `make test`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

TESTS = ("libs/engine/tests/nodes", "libs/engine/tests/graph/test_parity.py", "tests/parity")
CAPABILITIES = ("DEFAULT", "AVX2", "AVX512")
"""What PyTorch calls the kinds of processors, each able to run the code of those before it."""

_VARIABLE = "ATEN_CPU_CAPABILITY"
_ASK = "import torch; print(torch.backends.cpu.get_cpu_capability())"


def able(highest: str) -> tuple[str, ...]:
    """Return the capabilities that a machine has, given the highest; of another family only that one."""
    return CAPABILITIES[: CAPABILITIES.index(highest) + 1] if highest in CAPABILITIES else (highest,)


def best() -> str:
    """Return the best capability of this machine."""
    done = subprocess.run(
        [sys.executable, "-c", _ASK], env=_environment(), stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout.strip()


def main(arguments: Sequence[str]) -> int:
    """Run the tests under each capability of this machine but its best, and return 1 if any fail."""
    failed: list[str] = []
    highest = best()
    for name in able(highest):
        if name == highest:
            continue
        print(f"\n-- {name}", flush=True)
        if subprocess.run([sys.executable, "-m", "pytest", *TESTS, *arguments], env=_environment(name)).returncode:
            failed.append(name)
    if failed:
        print(f"failed under {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


def _environment(chosen: str = "") -> dict[str, str]:
    others = {name: value for name, value in os.environ.items() if name != _VARIABLE}
    return {**others, _VARIABLE: chosen.lower()} if chosen in CAPABILITIES else others


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
