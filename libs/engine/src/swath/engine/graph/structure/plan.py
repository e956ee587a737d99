"""Execution plans of forwards, made once and run many times.

A plan belongs to a stage and a set of wanted outputs. It skips all nodes that neither needs, and frees each value after
its last use.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from swath.engine.graph.context import Context
from swath.engine.graph.node import Node, input_error
from swath.engine.graph.ports import ANY, Kind, Port, Stage, checker, describe_value
from swath.engine.graph.structure.builder import Edge, ancestors
from swath.engine.ops import validity
from swath.errors import GraphInvalid, InputInvalid

_Check = Callable[[Any], str | None]


@dataclass(frozen=True)
class _Input:
    """The source of the values of one input port: edges from earlier steps, or a key of the batch."""

    name: str
    keys: tuple[str, ...]
    from_batch: bool
    variadic: bool
    required: bool
    check: _Check | None
    expected: str
    absent: str


@dataclass(frozen=True)
class _Output:
    name: str
    key: str
    required: bool
    check: _Check
    expected: str


@dataclass(frozen=True)
class _Step:
    name: str
    node: Node
    inputs: tuple[_Input, ...]
    outputs: tuple[_Output, ...]
    release: tuple[str, ...]


class Plan:
    """The steps of a forward.

    Args:
        nodes: All nodes of the pipeline.
        order: Their names, each after those it depends on.
        edges: All edges.
        stage: Nodes that do not take part in it are skipped.
        targets: Names of the nodes that must run, with all they depend on.
        wanted: Keys ``node.port`` that a forward returns.
        taps: Names of nodes whose inputs are wanted (`collect`); they run only if another node depends on them.
    """

    def __init__(
        self,
        nodes: Mapping[str, Node],
        order: Iterable[str],
        edges: Collection[Edge],
        *,
        stage: Stage,
        targets: Collection[str],
        wanted: Collection[str],
        taps: Collection[str] = (),
    ) -> None:
        live = [name for name in order if stage in nodes[name].stages]
        live_edges = [edge for edge in edges if edge.source in live]
        needed = ancestors(targets, live_edges)
        for tap in taps:
            needed |= ancestors([tap], live_edges) - {tap}
        steps = [name for name in live if name in needed]
        self.wanted = frozenset(wanted)
        self.taps = {name: _inputs_of(name, nodes, live_edges, steps) for name in taps}
        tapped = {key for ports in self.taps.values() for port in ports if not port.from_batch for key in port.keys}
        keep = self.wanted | tapped
        inputs = {name: _inputs_of(name, nodes, live_edges, steps) for name in steps}
        last_use: dict[str, str] = {}
        for name in steps:
            for port in inputs[name]:
                last_use |= {} if port.from_batch else dict.fromkeys(port.keys, name)
        self.steps = tuple(
            _Step(
                name=name,
                node=nodes[name],
                inputs=inputs[name],
                outputs=_outputs_of(name, nodes[name]),
                release=tuple(key for key, user in last_use.items() if user == name and key not in keep),
            )
            for name in steps
        )
        self._used = keep | set(last_use)

    def run(self, batch: Mapping[str, Any], context: Context) -> dict[str, Any]:
        """Compute and return the wanted values by ``node.port``."""
        values = self._compute(batch, context)
        return {key: value for key, value in values.items() if key in self.wanted}

    def collect(self, batch: Mapping[str, Any], context: Context) -> dict[str, dict[str, Any]]:
        """Run the nodes that the taps depend on and return the taps' inputs, by name and port."""
        values = self._compute(batch, context)
        return {name: _gather(name, ports, values, batch) for name, ports in self.taps.items()}

    def _compute(self, batch: Mapping[str, Any], context: Context) -> dict[str, Any]:
        values: dict[str, Any] = {}
        context.valid = validity.of_batch(batch)
        for step in self.steps:
            inputs = _gather(step.name, step.inputs, values, batch)
            outputs = _timed(step, inputs, context) if context.observe else step.node.execute(inputs, context)
            if context.valid is None and step.node.makes_invalid:
                context.valid = validity.of_batch(outputs)
            for output in step.outputs:
                value = outputs.get(output.name)
                if value is None:
                    if output.required:
                        raise input_error(step.name, "output", output.name, f"expected {output.expected}, got nothing")
                    continue
                fault = output.check(value)
                if fault:
                    raise _fault(step.name, "output", output.name, fault, output.expected, value)
                if output.key in self._used:
                    values[output.key] = value
            for key in step.release:
                values.pop(key, None)
        return values


def select(
    nodes: Mapping[str, Node],
    *,
    only: Collection[str] | None = None,
    upto: Collection[str] | None = None,
    taps: Collection[str] = (),
) -> tuple[set[str], set[str]]:
    """Return the `targets` and `wanted` of a plan; arguments as of `Pipeline.__call__` and `Plan`.

    Raises:
        GraphInvalid: `upto` or `taps` name no node.
    """
    unknown = [name for name in (*(upto or ()), *taps) if name not in nodes]
    if unknown:
        raise GraphInvalid(f"No node named {', '.join(map(repr, unknown))} in the pipeline")
    keys = {f"{name}.{port}": (name, port) for name, node in nodes.items() for port in node.outputs}
    if taps:
        return set(), set()
    if upto is not None:
        targets = set(upto)
        return targets, {key for key, (name, _) in keys.items() if name in targets}
    if only is not None:
        wanted = {key for key, (_, port) in keys.items() if key in only or port in only}
        return {keys[key][0] for key in wanted} | {name for name, node in nodes.items() if node.effect}, wanted
    return set(nodes), set(keys)


def _timed(step: _Step, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
    assert context.observe is not None
    synchronize = context.synchronize and torch.accelerator.is_available()
    if synchronize:
        torch.accelerator.synchronize()
    start = time.perf_counter()
    outputs = step.node.execute(inputs, context)
    if synchronize:
        torch.accelerator.synchronize()
    context.observe(step.name, time.perf_counter() - start)
    return outputs


def _gather(name: str, ports: Iterable[_Input], values: Mapping[str, Any], batch: Mapping[str, Any]) -> dict[str, Any]:
    inputs: dict[str, Any] = {}
    missing: list[_Input] = []
    for port in ports:
        available = batch if port.from_batch else values
        found = [value for key in port.keys if (value := available.get(key)) is not None]
        if not found:
            if port.required:
                missing.append(port)
            continue
        if port.check is not None:
            for value in found:
                fault = port.check(value)
                if fault:
                    raise _fault(name, "input", port.name, fault, port.expected, value)
        inputs[port.name] = found if port.variadic else found[0]
    if missing:
        raise _missing(name, missing)
    return inputs


def _missing(name: str, missing: list[_Input]) -> InputInvalid:
    ports = [port.name for port in missing]
    expected = ", ".join(f"{port.name}: {port.expected}" for port in missing)
    advice = "".join(f"; {port.absent}" for port in missing if port.absent)
    return InputInvalid(
        f"Node '{name}' missing required inputs: {ports} "
        f"(expected {expected}; got nothing from an edge or the batch){advice}",
        metadata={"node": name, "port": ports[0], "sources": ", ".join(missing[0].keys)},
    )


def _fault(name: str, side: str, port: str, fault: str, expected: str, value: Any) -> InputInvalid:
    return input_error(name, side, port, f"{fault} (expected {expected}, got {describe_value(value)})")


def _inputs_of(
    name: str, nodes: Mapping[str, Node], edges: Iterable[Edge], steps: Collection[str]
) -> tuple[_Input, ...]:
    node = nodes[name]
    inputs = []
    for port_name, port in node.inputs.items():
        joined = [edge for edge in edges if edge.target == name and edge.input == port_name]
        # An edge from a node that the stage skips still keeps the batch key from the port.
        keys = tuple(edge.key for edge in joined if edge.source in steps)
        from_batch = not joined
        implied = joined and all(
            _implies(nodes[edge.source].outputs[edge.output], nodes[edge.source], port, node) for edge in joined
        )
        inputs.append(
            _Input(
                name=port_name,
                keys=(port_name,) if from_batch else keys,
                from_batch=from_batch,
                variadic=port.variadic,
                required=not (port.optional or port.deferred),
                check=None if implied else checker(port, node),
                expected=port.describe(node),
                absent=port.absent,
            )
        )
    return tuple(inputs)


def _outputs_of(name: str, node: Node) -> tuple[_Output, ...]:
    return tuple(
        _Output(
            name=port_name,
            key=f"{name}.{port_name}",
            required=not port.optional,
            check=checker(port, node),
            expected=port.describe(node),
        )
        for port_name, port in node.outputs.items()
    )


def _implies(source: Port, source_node: Node, target: Port, target_node: Node) -> bool:
    """Whether a value that passed the check of the output passes that of the input as well."""
    if isinstance(target.dtype, Kind) and target.dtype is not ANY:
        return source.dtype is target.dtype
    if target.dtype is not ANY and not set(source.dtypes) <= set(target.dtypes):
        return False
    pairs = zip(source.sizes(source_node), target.sizes(target_node), strict=True)
    return all(want in (-1, have) for have, want in pairs)
