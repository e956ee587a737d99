"""Runs a task of a client: `python main.py CLIENT TASK TARGET FOLDER`, by the client's own Python."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np

name, task, target, folder = sys.argv[1:5]
place = Path(folder)
spec = importlib.util.spec_from_file_location("tasks", Path(__file__).parent / name / "tasks.py")
tasks = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tasks)
with np.load(place / "given.npz") as given:
    arrays = {key: given[key] for key in given.files}
facts, found = getattr(tasks, task)(target, **arrays)
(place / "found.json").write_text(json.dumps(facts))
np.savez(place / "found.npz", **found)
