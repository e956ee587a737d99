"""A run whose state or loss is not finite fails: what it would save is worth nothing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from swath.engine.graph.pipeline import Pipeline
from swath.errors import NotFinite

_DIVERGED = (
    "lower training.optimizer.lr, set training.gradient_clip_val, or look for values in the data that are finite and "
    "far out of range"
)


def require_finite_losses(losses: Sequence[float], names: Sequence[str], split: str, epoch: int, step: int) -> None:
    """Raise unless the loss of a batch and its parts are finite.

    Args:
        losses: The loss, and its parts.
        names: Loss nodes that the parts come from.
        split: Split of the batch.
        epoch: Epoch (0-based).
        step: Optimizer steps done.

    Raises:
        NotFinite: One is not.
    """
    if all(map(math.isfinite, losses)):
        return
    total, *parts = losses
    guilty = [f"{name} {value:g}" for name, value in zip(names, parts, strict=True) if not math.isfinite(value)]
    raise NotFinite(
        f"The {split} loss is {total:g} in epoch {epoch + 1} at step {step} ({', '.join(guilty) or 'the sum'}), so the "
        f"run has failed and its weights are not saved: {_DIVERGED}",
        metadata={"nodes": ",".join(item.partition(" ")[0] for item in guilty), "step": str(step)},
    )


def require_finite_state(pipeline: Pipeline, nodes: Iterable[str], when: str, advice: str = _DIVERGED) -> None:
    """Raise unless the state of nodes is finite.

    Args:
        pipeline: Whose nodes.
        nodes: Their names.
        when: When it is looked at, such as "after its fit".
        advice: What to do about it.

    Raises:
        NotFinite: A state entry holds NaN or infinities.
    """
    for name in nodes:
        node = pipeline.nodes[name]
        found = node.not_finite()
        if found:
            raise NotFinite(
                f"Node '{name}' ({type(node).__name__}) holds values that are not finite {when}: "
                f"{', '.join(found)}; the run has failed and its weights are not saved: {advice}",
                metadata={"node": name},
            )
