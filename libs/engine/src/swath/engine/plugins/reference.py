"""Node classes of the reference package's base class, run as nodes of this engine.

Such a class is a torch module with ``INPUT_SPECS`` and ``OUTPUT_SPECS``, ``forward(**inputs, context=...)`` and, if it
learns statistics, ``statistical_initialization(stream)``. The class is used unchanged; an adapter translates ports,
stages, hparams, state, fits, thresholds, metrics and pictures.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from swath.engine.graph.node import Node
from swath.engine.plugins.adapted import Adapted, AdaptedFittable
from swath.engine.plugins.adapted_decider import AdaptedDecider
from swath.engine.plugins.reference_specs import accepted, overrides, ports, stages


def is_reference(found: Any) -> bool:
    """Whether something is a class that `adapt` takes."""
    return (
        isinstance(found, type)
        and issubclass(found, torch.nn.Module)
        and isinstance(getattr(found, "INPUT_SPECS", None), Mapping)
        and isinstance(getattr(found, "OUTPUT_SPECS", None), Mapping)
    )


def adapt(cls: type[torch.nn.Module]) -> type[Node]:
    """Return a node class that runs a class of the reference's base class."""
    bases: list[type] = []
    if overrides(cls, "calibrate") and "logits" in cls.INPUT_SPECS:  # type: ignore[attr-defined]
        bases.append(AdaptedDecider)
    if overrides(cls, "statistical_initialization"):
        bases.append(AdaptedFittable)
    tags = tuple(str(tag) for tag in getattr(cls, "_tags", ()))
    category = str(getattr(cls, "_category", "unspecified"))
    return type(
        cls.__name__,
        tuple(bases) or (Adapted,),
        {
            "__doc__": cls.__doc__,
            "__module__": cls.__module__,
            "reference": cls,
            "inputs": ports(cls.INPUT_SPECS),  # type: ignore[attr-defined]
            "outputs": ports(cls.OUTPUT_SPECS),  # type: ignore[attr-defined]
            "stages": stages(getattr(cls, "EXECUTION_STAGES", ("always",))),
            "category": category,
            "tags": tags,
            "stateful": "stateful" in tags,
            "effect": category == "sink",
            # Documents in use carry arguments that classes of the reference swallow.
            "open_hparams": accepted(cls)[1],
        },
    )
