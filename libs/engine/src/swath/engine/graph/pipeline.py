"""A graph of nodes that runs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any, Self

import torch
from torch import Tensor

from swath.documents import (
    ConnectionDocument,
    NodeDocument,
    PipelineDocument,
    PipelineMetadata,
    PluginSource,
    SealedPipeline,
    sources_of,
)
from swath.engine.graph import registry
from swath.engine.graph.context import Context
from swath.engine.graph.node import Node
from swath.engine.graph.ports import Port, Stage
from swath.engine.graph.roles import Fittable
from swath.engine.graph.structure import builder
from swath.engine.graph.structure.parts import Parts, parts_of
from swath.engine.graph.structure.plan import Plan, select
from swath.errors import WeightsInvalid

State = dict[str, dict[str, Tensor]]
"""State of nodes, by name and key."""

_MAX_PLANS = 256


class Pipeline:
    """Nodes, the edges between their ports, and the order they run in.

    Inference is thread-safe unless a node is `stateful`; training and fits are not.

    Attributes:
        nodes: Nodes by name.
        edges: Edges between their ports.
        order: Names of the nodes, each after those it depends on.
        metadata: Its entry in a catalogue, if any.
        plugins: Plugin names of the document.
        sources: Plugins whose code it needs.
        stateful: Whether any node's outputs depend on earlier calls.
        effect: Whether any node that runs at inference writes outside of the process.
        independence: What parts of a batch have to do with one another at inference, in all nodes that run then.
        common_inputs: Batch keys whose values belong to the whole batch at inference, such as wavelengths: batches are
            joined only where they are equal, and cubes are cut without them.
        common_outputs: Outputs, `node.port`, that belong to the whole batch likewise: joined batches share them.
    """

    def __init__(
        self,
        nodes: Mapping[str, Node],
        edges: Collection[builder.Edge],
        *,
        class_names: Mapping[str, str] | None = None,
        metadata: PipelineMetadata | None = None,
        plugins: list[str] | None = None,
        sources: Collection[PluginSource] = (),
    ) -> None:
        self.nodes = dict(nodes)
        self.edges = tuple(edges)
        self.order = builder.sort(self.nodes, self.edges)
        self.metadata = metadata
        self.plugins = plugins
        self.sources = tuple(sources)
        self.stateful = any(node.stateful for node in self.nodes.values())
        running = {name: node for name, node in self.nodes.items() if Stage.INFERENCE in node.stages}
        self.effect = any(node.effect for node in running.values())
        self.independence, self.common_inputs, self.common_outputs = parts_of(running, self.edges)
        self._class_names = dict(class_names or {})
        self._plans: dict[tuple[Any, ...], Plan] = {}

    @classmethod
    def from_document(cls, document: PipelineDocument, plugins: registry.NodeSource | None = None) -> Self:
        """Build a pipeline, in evaluation mode.

        Args:
            document: The pipeline.
            plugins: Classes beside the built-in ones. A document that is sealed with plugins needs them
                (`swath.engine.plugins.pipelines.build_pipeline`).

        Raises:
            GraphInvalid: The message has the node and port, what was expected and what was found.
        """
        if plugins is None and sources_of(document):
            raise ValueError("a pipeline with plugins is built by swath.engine.plugins.pipelines.build_pipeline")
        nodes = builder.build_nodes(document, plugins)
        edges = builder.build_edges(document.connections, nodes)
        class_names = {entry.name: entry.class_name for entry in document.nodes}
        pipeline = cls(
            nodes,
            edges,
            class_names=class_names,
            metadata=document.metadata,
            plugins=document.plugins,
            sources=sources_of(document),
        )
        return pipeline.eval()

    def document(self) -> PipelineDocument:
        """Return the pipeline as a document, with the current arguments of its nodes.

        It is sealed if the pipeline needs plugins.
        """
        document = PipelineDocument(
            plugins=self.plugins,
            nodes=[
                NodeDocument(name=name, class_name=self._class_name(name), hparams=dict(node.hparams))
                for name, node in self.nodes.items()
            ],
            connections=[
                ConnectionDocument(
                    source=f"{edge.source}.outputs.{edge.output}", target=f"{edge.target}.inputs.{edge.input}"
                )
                for edge in self.edges
            ],
            metadata=self.metadata,
        )
        return SealedPipeline(**{**dict(document), "sources": list(self.sources)}) if self.sources else document

    def __call__(
        self,
        batch: Mapping[str, Any],
        context: Context | None = None,
        *,
        only: Collection[str] | None = None,
        upto: Collection[str] | None = None,
    ) -> dict[str, Any]:
        """Run the nodes of a stage.

        Args:
            batch: Values by key; each is fed to every input port of that name without an edge.
            context: Stage and position in the run; inference by default.
            only: Outputs to return, as ``node.port`` or as a port's bare name, which means that port of every node.
                Only the nodes that they depend on run, and nodes that write outside of the process (`Node.effect`).
                Names that match nothing are ignored.
            upto: Names of nodes. They and the nodes that they depend on run, and their outputs are returned.

        Returns:
            Values by ``node.port``. Other values are freed after their last use.

        Raises:
            InputInvalid: A value does not match its port, or a required one is missing.
            NotFitted: A node has no statistics yet.
            GraphInvalid: `upto` names no node.
        """
        context = context or Context()
        return self._plan(context.stage, only=only, upto=upto).run(batch, context)

    def inputs_of(
        self, nodes: Collection[str], batch: Mapping[str, Any], context: Context | None = None
    ) -> dict[str, dict[str, Any]]:
        """Return the inputs of some nodes, by name and port, without running those nodes.

        Raises:
            InputInvalid: A value does not match its port, or a required one is missing.
            NotFitted: A node that they depend on has no statistics yet.
        """
        context = context or Context()
        return self._plan(context.stage, taps=tuple(nodes)).collect(batch, context)

    def parts_of(self, only: Collection[str] | None = None) -> Parts:
        """Return what parts of a batch have to do with one another in the nodes that some outputs need at inference.

        Args:
            only: Outputs, as of a call; None means all.
        """
        return parts_of({step.name: step.node for step in self._plan(Stage.INFERENCE, only=only).steps}, self.edges)

    def fit_waves(self) -> tuple[tuple[str, ...], ...]:
        """Return the names of the nodes to fit, grouped by the pass over the data that they share.

        A node is in the first group after those of all fittable nodes that it depends on.
        """
        fittable = [name for name in self.order if isinstance(node := self.nodes[name], Fittable) and node.needs_fit()]
        return builder.waves(fittable, self.edges)

    def missing_fits(self) -> list[str]:
        """Return the names of the nodes that cannot run before a fit."""
        return [
            name
            for name in self.order
            if isinstance(node := self.nodes[name], Fittable) and not node.fitted and not node.usable_unfitted
        ]

    def input_specs(self, stage: Stage | None = None) -> dict[str, Port]:
        """Return the input ports without an edge, by batch key, with sizes in place of names of dimensions.

        Of several ports with the same name, the last one is returned; it is required if any of them is.

        Args:
            stage: Counts only nodes that run in it; all if not given.
        """
        specs: dict[str, Port] = {}
        for name, port_name, port in self._free_inputs():
            if stage is not None and stage not in self.nodes[name].stages:
                continue
            former = specs.get(port_name)
            optional = port.optional and (former is None or former.optional)
            specs[port_name] = replace(port, shape=port.sizes(self.nodes[name]), optional=optional)
        return specs

    def required_inputs(self, stage: Stage = Stage.INFERENCE) -> list[str]:
        """Return the batch keys that a full forward of a stage requires."""
        names = [
            port_name
            for name, port_name, port in self._free_inputs()
            if not port.optional and stage in self.nodes[name].stages
        ]
        return list(dict.fromkeys(names))

    def output_specs(self) -> dict[str, Port]:
        """Return the output ports without an edge, by ``node.port``, with sizes in place of names of dimensions."""
        taken = {edge.key for edge in self.edges}
        return {
            f"{name}.{port_name}": replace(port, shape=port.sizes(self.nodes[name]))
            for name in self.order
            for port_name, port in self.nodes[name].outputs.items()
            if f"{name}.{port_name}" not in taken
        }

    def stage_outputs(self, stage: Stage = Stage.INFERENCE) -> dict[str, Port]:
        """Return all output ports of the nodes that run in a stage, by ``node.port``: what a call may return."""
        return {
            f"{name}.{port_name}": replace(port, shape=port.sizes(self.nodes[name]))
            for name in self.order
            if stage in self.nodes[name].stages
            for port_name, port in self.nodes[name].outputs.items()
        }

    def parameters(self) -> Iterator[torch.nn.Parameter]:
        """Iterate over the parameters of all nodes."""
        for name in self.order:
            yield from self.nodes[name].parameters()

    def to(self, device: torch.device | str) -> Self:
        """Move all nodes to a device."""
        for node in self.nodes.values():
            node.to(device)
        return self

    def train(self, mode: bool = True) -> Self:
        """Put all nodes in training mode, or in evaluation mode."""
        for node in self.nodes.values():
            node.train(mode)
        return self

    def eval(self) -> Self:
        """Put all nodes in evaluation mode."""
        return self.train(False)

    def forget(self) -> None:
        """Reset the memory of stateful nodes."""
        for node in self.nodes.values():
            node.forget()

    def close(self) -> None:
        """Flush and close files that nodes hold open."""
        for node in self.nodes.values():
            node.close()

    def state(self) -> State:
        """Return a copy of the state of all nodes, by name and key; nodes without state have an empty entry."""
        return {name: node.state() for name, node in self.nodes.items()}

    def load_state(self, state: Mapping[str, Mapping[str, Tensor]], *, strict: bool) -> None:
        """Load a state; nothing changes if it does not fit.

        Args:
            state: Values by node and key.
            strict: Whether missing and unexpected nodes and keys are refused. A wrong shape always is.

        Raises:
            WeightsInvalid: The message lists the faults.
        """
        faults: list[str] = []
        for name, values in state.items():
            if name in self.nodes:
                faults += self._faults(name, values, strict=strict)
            elif strict and values:
                keys = ", ".join(f"{name}.{key}" if key else name for key in values)
                faults.append(f"{name} is no node of the pipeline ({keys}); its nodes are {', '.join(self.nodes)}")
        if strict:
            absent = [name for name in self.order if name not in state]
            faults += [f"{name} is missing" for name in absent if self.nodes[name].faults({}, strict=True)]
        if faults:
            listed = "\n".join(f"- {fault}" for fault in faults)
            raise WeightsInvalid(
                f"The weights do not fit the pipeline:\n{listed}", metadata={"faults": str(len(faults))}
            )
        with torch.inference_mode(False):
            for name, values in state.items():
                if name in self.nodes:
                    self.nodes[name].restore(values)

    def _faults(self, name: str, values: Mapping[str, Tensor], *, strict: bool) -> list[str]:
        """Return why a node cannot load a state; the last text says which keys it has, if it was given others."""
        node = self.nodes[name]
        faults = node.faults(values, strict=strict)
        if faults and (own := node.state()).keys() < own.keys() | values.keys():
            faults[-1] += f"; {name} has {', '.join(own) or 'no state'}"
        return faults

    def _class_name(self, name: str) -> str:
        given = self._class_names.get(name, "")
        return given if "." in given else registry.full_path(type(self.nodes[name]))

    def _free_inputs(self) -> Iterator[tuple[str, str, Port]]:
        joined = {(edge.target, edge.input) for edge in self.edges}
        for name in self.order:
            for port_name, port in self.nodes[name].inputs.items():
                if (name, port_name) not in joined:
                    yield name, port_name, port

    def _plan(
        self,
        stage: Stage,
        *,
        only: Collection[str] | None = None,
        upto: Collection[str] | None = None,
        taps: tuple[str, ...] = (),
    ) -> Plan:
        key = (stage, None if only is None else frozenset(only), None if upto is None else frozenset(upto), taps)
        plan = self._plans.get(key)
        if plan is None:
            # Clients choose the filter, so the number of plans has no bound of its own.
            if len(self._plans) >= _MAX_PLANS:
                self._plans.clear()
            targets, wanted = select(self.nodes, only=only, upto=upto, taps=taps)
            plan = self._plans[key] = Plan(
                self.nodes, self.order, self.edges, stage=stage, targets=targets, wanted=wanted, taps=taps
            )
        return plan
