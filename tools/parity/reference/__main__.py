"""Runs an order of the other interpreter: ``python -m tools.parity.reference WHAT FOLDER``."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from tools.parity import exchange

if __name__ == "__main__":
    what, folder = sys.argv[1], Path(sys.argv[2])
    part = importlib.import_module(f"tools.parity.reference.{what}")
    exchange.write(folder, "answer", part.carry_out(exchange.read(folder, "order")))
