"""Calls of ExperimentService, translated."""

from __future__ import annotations

from swath_experiment.service.services import Services
from swath_experiment.servicer.agent import AgentMethods
from swath_experiment.servicer.control import ControlMethods
from swath_experiment.servicer.metrics import MetricMethods
from swath_experiment.servicer.model import ModelMethods
from swath_experiment.servicer.samples import SampleMethods


class ExperimentServicer(ControlMethods, MetricMethods, SampleMethods, ModelMethods, AgentMethods):
    """The methods of ExperimentService, by subject.

    Args:
        services: Decide.
    """

    def __init__(self, services: Services) -> None:
        super().__init__(services)


__all__ = ["ExperimentServicer"]
