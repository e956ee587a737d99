"""The device of a run, and the settings of torch that a run changes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch

from swath.documents import TrainingDocument
from swath.engine.graph.context import Context
from swath.engine.graph.node import Node
from swath.engine.graph.pipeline import Pipeline
from swath.engine.graph.ports import Stage
from swath.engine.training.distributed.group import ALONE, Group
from swath.errors import DependencyMissing, InvalidInput

Run = Callable[[dict[str, Any], Context], dict[str, Any]]


def device_of(training: TrainingDocument | None, group: Group = ALONE) -> torch.device:
    """Return the device of this process. A single process has the first one that the document asks for.

    Raises:
        InvalidInput, DependencyMissing: As for `devices_of`.
    """
    if group.local_size == group.size:
        found = devices_of(training)
        if group.rank < len(found):
            return found[group.rank]
        raise InvalidInput(f"{_asks(training)} for {len(found)} processes; this is number {group.rank + 1}")
    # Over several machines the document counts all devices, and each process has one of its machine.
    alike = training.model_copy(update={"devices": group.local_size}) if training else None
    return devices_of(alike)[group.local_rank]


def devices_of(training: TrainingDocument | None) -> tuple[torch.device, ...]:
    """Return the devices that a document asks for on this machine: one per process of a run.

    Raises:
        InvalidInput: It asks for an unknown kind, or for no device.
        DependencyMissing: This machine lacks them.
    """
    accelerator = (training.accelerator if training else "auto").lower()
    if accelerator not in ("auto", "cpu", "gpu", "cuda"):
        raise InvalidInput(f"training.accelerator '{accelerator}' is not one of auto, cpu, gpu, cuda")
    available = len(devices()) - 1
    if accelerator in ("gpu", "cuda") and not available:
        raise DependencyMissing(f"training.accelerator '{accelerator}': this machine has no CUDA device")
    asked = training.devices if training else None
    if accelerator == "cpu" or not available:
        # There is at most one process per core of a CPU; -1 means a single process, which uses all cores.
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return (torch.device("cpu"),) * len(_indices(asked, 1 if str(asked).strip() == "-1" else cores))
    return tuple(torch.device("cuda", index) for index in _indices(asked, available))


def processes_of(training: TrainingDocument | None) -> int | None:
    """Return how many processes a document asks for, over all machines; None if it takes all devices.

    Raises:
        InvalidInput: It asks for none, or is not a number.
    """
    asked = training.devices if training else None
    return None if str(asked).strip() == "-1" else len(_indices(asked, sys.maxsize))


def devices() -> tuple[torch.device, ...]:
    """Return the devices of this machine: the CPU, then its GPUs."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return torch.device("cpu"), *(torch.device("cuda", index) for index in range(count))


def _asks(training: TrainingDocument | None) -> str:
    return f"training.devices '{training.devices if training else None}' asks"


def _indices(devices: int | str | None, available: int) -> Sequence[int]:
    """Parse ``training.devices``: a count, or with a comma a list of indices; -1 means all, auto the first."""
    if devices is None or devices == "auto":
        return (0,)
    text = str(devices).strip()
    fault = InvalidInput(f"training.devices '{devices}' is neither a count nor a list of indices such as '0,'")
    try:
        numbers = [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise fault from None
    if not numbers:
        raise fault
    if "," in text:
        if len(set(numbers)) < len(numbers) or min(numbers) < 0:
            raise fault
        found, needed = numbers, max(numbers) + 1
    else:
        needed = available if numbers[0] == -1 else numbers[0]
        found = range(needed)
        if needed < 1:
            raise fault
    if needed > available:
        raise DependencyMissing(f"training.devices '{devices}': this machine has {available} of that kind")
    return found


@contextmanager
def switches(training: TrainingDocument) -> Iterator[None]:
    """Set ``deterministic`` and ``benchmark`` for the time of a run."""
    algorithms = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    benchmark = torch.backends.cudnn.benchmark
    # Not called if nothing changes: it imports the compiler, which takes seconds.
    changed = algorithms != (training.deterministic, False)
    if training.deterministic:
        # cuBLAS reads it when its first handle is created; there is no other setting.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    if changed:
        torch.use_deterministic_algorithms(training.deterministic)
    torch.backends.cudnn.benchmark = training.benchmark and not training.deterministic
    try:
        yield
    finally:
        if changed:
            torch.use_deterministic_algorithms(algorithms[0], warn_only=algorithms[1])
        torch.backends.cudnn.benchmark = benchmark


@contextmanager
def adapted(pipeline: Pipeline, *, frozen: Collection[str], mixed: bool) -> Iterator[None]:
    """Change how nodes run within the block.

    Args:
        pipeline: Whose nodes.
        frozen: Nodes that run as at inference, so that training changes nothing in them.
        mixed: Whether to cast outputs in a half format to the float32 that their ports declare.
    """
    changed: dict[Node, Run] = {}
    for name, node in pipeline.nodes.items():
        run: Run = node.run
        if name in frozen:
            run = _as_inference(run)
        if mixed:
            run = _in_port_types(run, node)
        if run != node.run:
            changed[node] = run
    with rerun(changed):
        yield


@contextmanager
def rerun(changed: Mapping[Node, Run]) -> Iterator[None]:
    """Replace the `run` of some nodes within the block."""
    former = {node: vars(node).get("run") for node in changed}
    try:
        for node, run in changed.items():
            object.__setattr__(node, "run", run)
        yield
    finally:
        for node, run in former.items():
            if run is None:
                object.__delattr__(node, "run")
            else:
                object.__setattr__(node, "run", run)


def _as_inference(run: Run) -> Run:
    return lambda inputs, context: run(inputs, replace(context, stage=Stage.INFERENCE))


def _in_port_types(run: Run, node: Node) -> Run:
    full = frozenset(name for name, port in node.outputs.items() if port.dtype is torch.float32)

    def cast(inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        outputs = run(inputs, context)
        return {
            name: value.float() if name in full and isinstance(value, torch.Tensor) else value
            for name, value in outputs.items()
        }

    return cast


def release(training: TrainingDocument, device: torch.device) -> None:
    """Give cached memory of a device back around a validation, where the document asks for it."""
    if training.release_cuda_cache_on_validation and device.type == "cuda":
        torch.cuda.empty_cache()
