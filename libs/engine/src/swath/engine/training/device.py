"""The device of a run, and the switches of torch that a run sets."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch

from swath.documents import TrainingDocument
from swath.engine.context import Context
from swath.engine.node import Node
from swath.engine.pipeline import Pipeline
from swath.engine.ports import Stage
from swath.errors import DependencyMissing, InvalidInput

Run = Callable[[dict[str, Any], Context], dict[str, Any]]


def device_of(training: TrainingDocument | None) -> torch.device:
    """Return the device that a document asks for; a run uses one.

    Raises:
        InvalidInput: It asks for what no server gives: an unknown kind, several devices, none.
        DependencyMissing: This machine lacks it.
    """
    accelerator = (training.accelerator if training else "auto").lower()
    if accelerator not in ("auto", "cpu", "gpu", "cuda"):
        raise InvalidInput(f"training.accelerator '{accelerator}' is not one of auto, cpu, gpu, cuda")
    available = len(devices()) - 1
    if accelerator in ("gpu", "cuda") and not available:
        raise DependencyMissing(f"training.accelerator '{accelerator}': this machine has no CUDA device")
    index = _index(training.devices if training else None, 1 if accelerator == "cpu" else max(available, 1))
    if accelerator == "cpu" or not available:
        return torch.device("cpu")
    return torch.device("cuda", index)


def devices() -> tuple[torch.device, ...]:
    """Return the devices of this machine: the CPU, then its GPUs."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return torch.device("cpu"), *(torch.device("cuda", index) for index in range(count))


def _index(devices: int | str | None, available: int) -> int:
    """Read ``training.devices``: a count, or with a comma a list of indices; -1 and auto mean what there is."""
    if devices is None or devices == "auto":
        return 0
    text = str(devices).strip()
    fault = InvalidInput(f"training.devices '{devices}' is neither a count nor a list of indices such as '0,'")
    try:
        numbers = [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise fault from None
    if not numbers:
        raise fault
    if "," in text:
        count, index = len(numbers), numbers[0]
    else:
        count, index = (available if numbers[0] == -1 else numbers[0]), 0
    if count > available or not 0 <= index < available:
        raise DependencyMissing(f"training.devices '{devices}': this machine has {available} of that kind")
    if count != 1:
        raise InvalidInput(f"training.devices '{devices}': a run uses exactly one device")
    return index


@contextmanager
def switches(training: TrainingDocument) -> Iterator[None]:
    """Set ``deterministic`` and ``benchmark`` for as long as a run lasts."""
    algorithms = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    benchmark = torch.backends.cudnn.benchmark
    # Left alone where nothing changes: the call imports the compiler, which takes seconds.
    changed = algorithms != (training.deterministic, False)
    if training.deterministic:
        # cuBLAS reads it when its first handle is made; it has no other switch.
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
    """Let nodes run otherwise than they would by themselves.

    Args:
        pipeline: Whose nodes.
        frozen: Nodes that take every forward for one of inference, so that training changes nothing in them.
        mixed: Outputs in a half format are given on as the float32 that their ports promise.
    """
    changed: list[Node] = []
    try:
        for name, node in pipeline.nodes.items():
            run: Run = node.run
            if name in frozen:
                run = _as_inference(run)
            if mixed:
                run = _in_port_types(run, node)
            if run != node.run:
                object.__setattr__(node, "run", run)
                changed.append(node)
        yield
    finally:
        for node in changed:
            object.__delattr__(node, "run")


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
