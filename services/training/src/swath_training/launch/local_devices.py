"""Devices of this machine, for runs. torch takes seconds to import: call these in a thread."""

from __future__ import annotations

from swath.documents import TrainingDocument
from swath_training.runs.devices import devices_text
from swath_training.runs.model import Trainer


def device_of(trainer: Trainer, training: TrainingDocument | None) -> str:
    """Return the torch devices that a run is for, as `devices_text` writes them: one per process.

    Blocks while torch is imported. Only gradient training is shared among processes.

    Raises:
        InvalidInput: It asks for what no server gives.
        DependencyMissing: This machine lacks it.
    """
    from swath.engine.training.distributed.device import devices_of  # imports torch: not at import

    found = devices_of(training)
    return devices_text(found if trainer is Trainer.GRADIENT else found[:1])


def devices() -> tuple[str, ...]:
    """Return the torch devices of this machine. Blocks while torch is imported."""
    from swath.engine.training.distributed.device import devices

    return tuple(map(str, devices()))
