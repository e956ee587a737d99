"""Runs nodes of the reference package by themselves."""

# pyright: reportMissingImports=false
from __future__ import annotations

import contextlib
import copy
import importlib
import os
import traceback
from typing import Any

import numpy as np
import torch
from cuvis_ai_schemas.enums import ExecutionStage
from cuvis_ai_schemas.execution import Context

from tools.parity.exchange import plain, tensors


def carry_out(order: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Run each case; the answer of a failed case is its error."""
    return [_tried(case) for case in order]


def _tried(case: dict[str, Any]) -> dict[str, Any]:
    try:
        os.makedirs(case["folder"], exist_ok=True)
        os.chdir(case["folder"])
        return _run(case)
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()}


def _run(case: dict[str, Any]) -> dict[str, Any]:
    node = _build(case)
    wide = _wide(node)
    if case["fit"]:
        _fit(node, case["fit"])
        wide = _wide(node)
    state = {key: value for key, value in plain(dict(node.state_dict())).items() if isinstance(value, np.ndarray)}
    answer: dict[str, Any] = {"state": state, "calls": _forward(node, case, case["calls"])}
    if not any(answer["calls"]):
        return answer  # it writes files, and would write them anew
    with contextlib.suppress(Exception):  # not every node runs in float64
        answer["float64"] = _forward(wide, case, _widened(case["calls"]))
    if case["fit"]:
        with contextlib.suppress(Exception):
            wide = _wide(_build(case))
            _fit(wide, _widened(case["fit"]))
            if all(value.dtype != torch.float32 for value in wide.state_dict().values()):
                answer["fitted in float64"] = _forward(wide, case, _widened(case["calls"]))
    return answer


def _build(case: dict[str, Any]) -> Any:
    module, _, name = f"cuvis_ai.node.{case['node']}".rpartition(".")
    torch.manual_seed(0)
    np.random.seed(0)
    return getattr(importlib.import_module(module), name)(**case["hparams"]).eval()


def _fit(node: Any, batches: list[Any]) -> None:
    node.statistical_initialization(iter([_fed(batch) for batch in batches]))
    node.eval()


def _forward(node: Any, case: dict[str, Any], calls: list[Any]) -> list[Any]:
    outputs = []
    with torch.no_grad():
        for index, inputs in enumerate(calls):
            context = Context(stage=ExecutionStage(case["stage"]), batch_idx=index, global_step=index)
            outputs.append(plain(node.forward(**_fed(inputs), context=context)))
    node.cleanup()
    return outputs


def _fed(inputs: dict[str, Any]) -> dict[str, Any]:
    """Return what a node gets in a pipeline: tensors, but the wavelengths of the channels as an array."""
    arrays = {key: value for key, value in inputs.items() if key == "wavelengths" and value.ndim == 1}
    return {**tensors(inputs), **arrays}


def _wide(node: Any) -> Any:
    return copy.deepcopy(node).double()


def _widened(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.astype(np.float64) if value.dtype == np.float32 else value
    if isinstance(value, dict):
        return {key: _widened(item) for key, item in value.items()}
    return [_widened(item) for item in value] if isinstance(value, list) else value
