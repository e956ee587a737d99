"""Writes everything that is generated, or checks all of it in one go: `python -m tools.generate [--check]`.

libs/api/generate.py              Python code of protos/
python -m tools.registry          rules for imports, images, skaffold: from the registry of services
charts/generate.py                the chart's README, and what it has of the registry
services/images/requirements.py   what images install beside Swath: from uv.lock (UV names the program)
python -m tools.docs              docs/reference
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

GENERATORS = (
    ("libs/api/generate.py",),
    ("-m", "tools.registry"),
    ("charts/generate.py",),
    ("services/images/requirements.py",),
    ("-m", "tools.docs"),
)
"""In this order: a later one may read what an earlier one writes."""


def main() -> int:
    """Run all generators, to check at the same time; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.generate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="change nothing; name every file that is out of date")
    if parser.parse_args().check:
        running = [_start(*each, "--check") for each in GENERATORS]
        statuses = [each.wait() for each in running]
        return int(any(statuses))
    return next((status for each in GENERATORS if (status := _start(*each).wait())), 0)


def _start(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, *arguments], cwd=ROOT)


if __name__ == "__main__":
    sys.exit(main())
