"""Runs a program whose imports of Ray Serve lead to Swath: `python -m swath.serve.compat PROGRAM.py ARGUMENTS`."""

from __future__ import annotations

import argparse
import runpy
import sys
from pathlib import Path

from swath.serve.compat import install


def main() -> None:
    """Run the program that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m swath.serve.compat", description=__doc__)
    parser.add_argument("program", type=Path)
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    given = parser.parse_args()
    install(replace=True)
    sys.argv = [str(given.program), *given.arguments]
    sys.path.insert(0, str(given.program.resolve().parent))
    runpy.run_path(str(given.program), run_name="__main__")


if __name__ == "__main__":
    main()
