import sys
from pathlib import Path

# `tools` is part of the checkout and of no package.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
