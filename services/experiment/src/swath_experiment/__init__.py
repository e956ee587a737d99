"""The experiment service: WeightsLab's ExperimentService over the runs of the training service."""

from swath_experiment.adapters.runs import InProcess, RunClient
from swath_experiment.assembly import build
from swath_experiment.settings import ExperimentSettings

__all__ = ["ExperimentSettings", "InProcess", "RunClient", "build"]
