"""Runs, their event logs and their workers.

A run is a row; a worker process of its own does the work and reports over a link; every event is in the run's log
before a client sees it. `Training` is the whole service, `prepare` what a process calls before anything else.
"""

from swath_training.api.pipelines import Pipelines
from swath_training.api.service import TrainingService
from swath_training.api.servicer import TrainingServicer
from swath_training.assembly import FOLDER, Training, TrainingAssembly, build, prepare
from swath_training.settings import TrainingSettings
from swath_training.supervise.launcher import Launcher

__all__ = [
    "FOLDER",
    "Launcher",
    "Pipelines",
    "Training",
    "TrainingAssembly",
    "TrainingService",
    "TrainingServicer",
    "TrainingSettings",
    "build",
    "prepare",
]
