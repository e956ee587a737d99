import sys
from pathlib import Path

# `benchmarks` and `tools` are part of the checkout and of no package.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
