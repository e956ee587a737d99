"""What metrics of single batches share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from swath.engine.graph.context import Context
from swath.engine.graph.node import Node
from swath.engine.graph.ports import EVALUATION, LIST, Port, ports
from swath.engine.graph.records import Measurement

METRICS = ports(metrics=Port(LIST, description="Numbers of this batch"))


class Reading(Node):
    """A node that reads numbers off each batch by itself; evaluations average them over the batches."""

    stages = EVALUATION
    category = "metric"
    outputs = METRICS

    @abstractmethod
    def measure(self, inputs: dict[str, Any]) -> Mapping[str, float]:
        """Return the numbers of a batch by name."""

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        return {"metrics": [Measurement(name, value) for name, value in self.measure(inputs).items()]}
