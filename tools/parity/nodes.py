"""Node by node: the same inputs and the same state in both, and the same fit."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from swath.engine.graph import registry
from swath.engine.graph.context import Context
from swath.engine.graph.node import Node
from swath.engine.graph.ports import Stage
from swath.engine.graph.roles import Fittable
from tools.parity import environment, files
from tools.parity.cases import Case
from tools.parity.compare import Difference, judged
from tools.parity.exchange import plain, tensors


@dataclass(frozen=True)
class Row:
    """One output of a node.

    Attributes:
        node: Class name.
        output: Name of the port, or of what else was compared.
        calls: Number of forwards compared.
        same_state: Difference with the reference's state loaded; None if the reference failed.
        own_fit: Difference of the node fitted here on the same batches; None if there is no fit.
        remark: Why it differs on purpose, or what failed.
        on_purpose: Whether the remark is the reason of an intended difference.
        met: Whether all of it is within the target.
    """

    node: str
    output: str
    calls: int
    same_state: Difference | None
    own_fit: Difference | None
    remark: str = ""
    on_purpose: bool = False
    met: bool = False


def measure(cases: Sequence[Case]) -> list[Row]:
    """Run all cases in both and compare them."""
    with tempfile.TemporaryDirectory(prefix="swath-parity-") as folder:
        theirs_in, ours_in = Path(folder) / "reference", Path(folder) / "swath"
        orders = [order(case, theirs_in / str(index)) for index, case in enumerate(cases)]
        answers = environment.ask("nodes", orders)
        rows: list[Row] = []
        for index, (case, answer) in enumerate(zip(cases, answers, strict=True)):
            own = ours_in / str(index)
            rows += _rows(case, answer, order(case, own), theirs_in / str(index), own)
    return rows


def order(case: Case, folder: Path) -> dict[str, Any]:
    """Return a case as plain data, its files written into a folder."""
    folder.mkdir(parents=True)
    if case.prepare is not None:
        case.prepare(folder)
    return {
        "node": case.node,
        "hparams": _placed(dict(case.hparams), folder),
        "fit": [dict(batch) for batch in case.fit],
        "calls": [dict(inputs) for inputs in case.calls],
        "stage": case.stage,
        "folder": str(folder),
    }


def build(case: dict[str, Any]) -> Node:
    """Return our node of a case, as `order` gives it."""
    name = f"{registry.REFERENCE}.{case['node']}"
    return registry.create(name, case["node"].rpartition(".")[2], case["hparams"]).eval()


def fit(node: Node, case: dict[str, Any]) -> None:
    """Fit a node on the batches of its case."""
    assert isinstance(node, Fittable)
    with torch.no_grad():
        node.begin_fit()
        for batch in case["fit"]:
            node.fit_batch(tensors(batch))
        node.end_fit()


def forward(node: Node, case: dict[str, Any], *, device: str = "cpu") -> list[dict[str, Any]]:
    """Run a node over the calls of its case, its inputs on the node's device, and return the outputs as trees."""
    outputs = []
    with torch.inference_mode():
        for index, inputs in enumerate(case["calls"]):
            context = Context(Stage(case["stage"]), batch=index, step=index, resolve=Path(case["folder"]).joinpath)
            batch = {
                key: value.to(device) if isinstance(value, torch.Tensor) else value
                for key, value in tensors(inputs).items()
            }
            outputs.append(plain(node.run(batch, context)))
    node.close()
    return outputs


def _rows(case: Case, answer: dict[str, Any], ordered: dict[str, Any], theirs_in: Path, ours_in: Path) -> Iterator[Row]:
    if "error" in answer:
        yield Row(case.class_name, "", len(case.calls), None, None, case.why or answer["error"], bool(case.why))
        return
    theirs = answer["calls"]
    try:
        node = build(ordered)
        faults = node.faults(tensors(answer["state"]), strict=True)
        node.restore(tensors(answer["state"]))
        ours = forward(node, ordered)
        # A fit in float32 is compared by its outputs in float64.
        wide_fit = answer.get("fitted in float64", answer.get("float64"))
        fitted, exact = None, case.exact(case) if case.exact else wide_fit
        if case.fit:
            again = build(ordered)
            fit(again, ordered)
            fitted = forward(again, ordered)
    except Exception as error:
        remark = case.why or f"here: {type(error).__name__}: {error}"
        yield Row(case.class_name, "", len(case.calls), None, None, remark, bool(case.why))
        return
    if faults:
        yield _row(case, "state", Difference(faults=tuple(faults)), None, case.unlike.get("state", ""))
    for port in dict.fromkeys(key for outputs in (*theirs, *ours) for key in outputs):
        reason = case.unlike.get(port, case.unlike.get("*", ""))
        same = None if reason else _port(ours, theirs, answer.get("float64"), port)
        own = None if reason or fitted is None else _port(fitted, theirs, exact, port)
        yield _row(case, port, same, own, reason)
    if (written := files.difference(ours_in, theirs_in)) is not None:
        reason = case.unlike.get("files", "")
        yield _row(case, "files", None if reason else written, None, reason)


def _row(case: Case, output: str, same: Difference | None, own: Difference | None, reason: str) -> Row:
    measured = [each for each in (same, own) if each is not None]
    met = bool(measured) and all(each.met for each in measured)
    remark = reason or ("" if met else case.why)
    return Row(case.class_name, output, len(case.calls), same, own, remark, bool(remark), met)


def _port(ours: list[Any], theirs: list[Any], wide: list[Any] | None, port: str) -> Difference:
    sides = [
        None if side is None else [{port: outputs[port]} if outputs.get(port) is not None else {} for outputs in side]
        for side in (ours, theirs, wide)
    ]
    return judged(*sides)


def _placed(value: Any, folder: Path) -> Any:
    if isinstance(value, str):
        return value.replace("{folder}", os.fspath(folder))
    if isinstance(value, dict):
        return {key: _placed(item, folder) for key, item in value.items()}
    return [_placed(item, folder) for item in value] if isinstance(value, list | tuple) else value
