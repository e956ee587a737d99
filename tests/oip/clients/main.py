"""Runs a task of a client: `python main.py CLIENT TASK TARGET FOLDER`, by the client's own Python."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np

name, task, target, folder = sys.argv[1:5]
place = Path(folder)
sys.path.insert(0, str(Path(__file__).parent / name))
tasks = importlib.import_module("tasks")
with np.load(place / "given.npz") as given:
    arrays = {key: given[key] for key in given.files}
facts, found = getattr(tasks, task)(target, **arrays)
(place / "found.json").write_text(json.dumps(facts))
np.savez(place / "found.npz", **found)
