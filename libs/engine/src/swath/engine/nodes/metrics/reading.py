"""What metrics of single batches share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from swath.engine.graph.context import Context
from swath.engine.graph.node import Node
from swath.engine.graph.ports import EVALUATION, LIST, Port, ports
from swath.engine.graph.records import Measurement, defined

METRICS = ports(metrics=Port(LIST, description="Numbers of this batch"))


class Reading(Node):
    """A node that reads numbers off the state of others, given with each batch; evaluations average over the batches.

    Attributes:
        names: Names of its numbers, where they are always the same.
    """

    stages = EVALUATION
    category = "metric"
    outputs = METRICS
    names: ClassVar[tuple[str, ...] | None] = None

    def metric_names(self, given: Collection[str]) -> frozenset[str] | None:
        return None if self.names is None else frozenset(self.names)

    @abstractmethod
    def measure(self, inputs: dict[str, Any]) -> Mapping[str, float]:
        """Return the numbers of a batch by name; NaN for what is not defined, which is left out."""

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        return {"metrics": [Measurement(name, value) for name, value in defined(self.measure(inputs)).items()]}
