"""Forwards of one request, or of several as one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch

from swath.engine.graph.context import Context
from swath.engine.graph.pipeline import Pipeline
from swath.rpc.tracing import span
from swath_inference.dataplane.executor import out_of_memory
from swath_inference.dataplane.merging import items_of, joined, merge_key, parted
from swath_inference.dataplane.request import Batch, InferRequest

Result = dict[str, Any] | Exception
"""Outputs by `node.port`, or what a request failed with."""


def forward(requests: Sequence[InferRequest]) -> list[Result]:
    """Compute requests with one `merge_key`, together where they are several, and return the result of each.

    Where a joined forward fails, or its outputs cannot be parted, each request is computed alone: what is wrong with
    one of them is an error of that one. Where none is wrong, joining them is, and it is not tried again for a while.
    """
    started = time.thread_time()
    results = _together(requests) if len(requests) > 1 else None
    if results is None:
        results = [_alone(request) for request in requests]
        if len(requests) > 1:
            _remember(requests, results)
    size = sum([request.size for request in requests])
    requests[0].model.pace.add(len(requests), size, time.thread_time() - started)
    return results


def _remember(requests: Sequence[InferRequest], results: Sequence[Result]) -> None:
    for request in requests:
        request.parted = True
    if not any(isinstance(result, Exception) for result in results):
        requests[0].model.apart.add(merge_key(requests[0]))


def compile_nodes(pipeline: Pipeline) -> None:
    """Have the nodes with parameters compiled when they first run, for batches of any size."""
    for node in pipeline.nodes.values():
        if next(node.parameters(), None) is not None:
            node.run = torch.compile(node.run, dynamic=True)


def _together(requests: Sequence[InferRequest]) -> list[Result] | None:
    model = requests[0].model
    try:
        outputs = _run(requests[0], joined(requests), len(requests))
    except Exception:
        return None
    parts = parted(outputs, [items_of(request) for request in requests], model.pipeline.common_outputs)
    if parts is None:
        model.merges = False
    return list(parts) if parts is not None else None


def _alone(request: InferRequest) -> Result:
    try:
        return _run(request, request.batch, 1)
    except Exception as error:
        return error


def _run(request: InferRequest, batch: Batch, calls: int) -> dict[str, Any]:
    if request.context is None:
        return _compute(request, batch, calls)
    return request.context.run(_compute, request, batch, calls)


def _compute(request: InferRequest, batch: Batch, calls: int) -> dict[str, Any]:
    try:
        with torch.inference_mode(), span("forward", calls=calls):
            return _outputs(request, batch)
    except torch.OutOfMemoryError as error:
        raise out_of_memory() from error


def _outputs(request: InferRequest, batch: Batch) -> dict[str, Any]:
    model = request.model
    pipeline = model.pipeline
    if request.fresh and pipeline.stateful:
        pipeline.forget()
    context = Context(resolve=request.files.resolve, observe=request.observe, synchronize=request.synchronize)
    if model.device == "cpu":
        return pipeline(batch, context, only=request.only)
    batch = {
        key: value.to(model.device, non_blocking=True) if isinstance(value, torch.Tensor) else value
        for key, value in batch.items()
    }
    outputs = pipeline(batch, context, only=request.only)
    # Here, where the device may be waited for, and where what went wrong on it is told of.
    return {key: value.cpu() if isinstance(value, torch.Tensor) else value for key, value in outputs.items()}
