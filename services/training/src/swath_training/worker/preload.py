"""Imported once, in the fork server: everything that a worker would import, node classes included.

Nothing here may start a thread, open a channel or run a tensor operation; workers are forks of the process that has
imported this, and of none of that a copy would work.
"""

import torch._dynamo  # noqa: F401 - the first optimizer of a process imports it, which takes seconds

from swath.engine.graph import registry
from swath_training.worker import attempt, rank_worker

registry.catalogue()

__all__ = ["attempt", "rank_worker"]
