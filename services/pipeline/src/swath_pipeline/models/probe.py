"""Whether stored artifacts make a pipeline that can serve, and what it takes and gives. Everything here blocks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from swath.errors import Denied, InvalidInput, NotFitted, NotFound, Precondition
from swath.published.model import TensorSpec
from swath_pipeline.artifacts import PipelineArtifacts

if TYPE_CHECKING:
    from swath.engine.graph.ports import Port

# What in a stored document or its weights keeps a pipeline from being built. No fault of the call's words.
_UNBUILDABLE = (InvalidInput, NotFound, Denied)


class Probe(NamedTuple):
    """What is known of a pipeline before it is a version.

    Attributes:
        inputs: What a call may give.
        outputs: What it gets.
        untried: Why no forward was run, in words; empty where one went well.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    untried: str


def probe(artifacts: PipelineArtifacts, pipeline_digest: str, weights_digest: str | None) -> Probe:
    """Build a pipeline with its weights, as replicas of inference will, and run it once over made inputs.

    Raises:
        NotFitted: Nodes lack their statistics.
        Precondition: It cannot be built, or fails whatever it is given; the message says why.
    """
    try:
        pipeline = artifacts.open(pipeline_digest, weights_digest)
    except _UNBUILDABLE as error:
        raise Precondition(f"the pipeline cannot be built: {error.message}", metadata=error.metadata) from error
    if missing := pipeline.missing_fits():
        raise NotFitted(
            f"Nodes {', '.join(missing)} need a statistical fit before the pipeline can be published: train "
            "statistically, or load weights that hold the statistics",
            metadata={"nodes": ",".join(missing)},
        )
    from swath.engine.graph.ports import Stage
    from swath.engine.trial import try_forward

    untried = try_forward(pipeline)
    # What a call may give and get, which is not what the graph leaves open: what only fits or metrics take is no input,
    # and an output that another node takes as well is one.
    return Probe(_specs(pipeline.input_specs(Stage.INFERENCE)), _specs(pipeline.stage_outputs()), untried)


def _specs(ports: Mapping[str, Port]) -> tuple[TensorSpec, ...]:
    from swath.engine.graph.ports import dtype_name

    return tuple(
        TensorSpec(
            name=name,
            dtype=dtype_name(port.dtype),
            shape=tuple(size if isinstance(size, int) else -1 for size in port.shape),
            optional=port.optional,
            description=port.description,
        )
        for name, port in ports.items()
    )
