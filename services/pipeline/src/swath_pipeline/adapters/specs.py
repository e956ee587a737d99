"""Ports and node classes as messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.documents import CapabilityDocument, PortDocument
from swath.pipeline.v1 import nodes_pb2
from swath_pipeline.adapters.icons import icon

if TYPE_CHECKING:
    from swath.engine.graph.describe import Description
    from swath.engine.graph.ports import Port
    from swath.engine.graph.registry import Entry


def tensor_spec(name: str, port: Port, *, required: bool) -> pb.TensorSpec:
    """Return an input or output of a pipeline. What is no tensor of one type has no code: UNSPECIFIED."""
    shape = [size if isinstance(size, int) else -1 for size in port.shape]
    return pb.TensorSpec(name=name, shape=shape, dtype=_code(port), required=required)


def entry_info(entry: Entry) -> pb.NodeInfo:
    """Return a built-in node class."""
    return pb.NodeInfo(
        class_name=entry.class_name,
        full_path=entry.full_path,
        source="builtin",
        input_specs={name: _port(name, port) for name, port in entry.inputs.items()},
        output_specs={name: _port(name, port) for name, port in entry.outputs.items()},
        icon_svg=icon(entry.category),
        category=_category(entry.category),
        tags=_tags(entry.tags),
    )


def capability_info(capability: CapabilityDocument, plugin: str) -> pb.NodeInfo:
    """Return a node class that a plugin offers."""
    return pb.NodeInfo(
        class_name=capability.class_name.rsplit(".", 1)[-1],
        full_path=capability.class_name,
        source="plugin",
        plugin_name=plugin,
        input_specs={name: _described(name, port) for name, port in capability.input_specs.items()},
        output_specs={name: _described(name, port) for name, port in capability.output_specs.items()},
        icon_svg=(capability.icon_svg or "").encode() or icon(capability.category or ""),
        category=_category(capability.category or ""),
        tags=_tags(capability.tags),
    )


def description(described: Description) -> nodes_pb2.NodeDescription:
    """Return what there is to say of a node class."""
    return nodes_pb2.NodeDescription(
        full_path=described.full_path,
        summary=described.summary,
        documentation=described.documentation,
        hparams=[
            nodes_pb2.Hparam(
                name=hparam.name,
                type=hparam.type,
                required=hparam.required,
                default_json=hparam.default,
                description=hparam.description,
                choices=hparam.choices,
            )
            for hparam in described.hparams
        ],
        stages=described.stages,
        fittable=described.fittable,
        calibratable=described.calibratable,
        stateful=described.stateful,
        effect=described.effect,
        trainable_buffers=described.trainable_buffers,
    )


def _port(name: str, port: Port) -> pb.PortSpec:
    return pb.PortSpec(
        name=name,
        dtype=_code(port),
        shape=[size if isinstance(size, int) else -1 for size in port.shape],
        optional=port.optional,
        description=port.description,
        variadic=port.variadic,
    )


def _described(name: str, port: PortDocument) -> pb.PortSpec:
    return pb.PortSpec(
        name=name,
        dtype=_enum(pb.DType, f"D_TYPE_{port.dtype.removeprefix('torch.').upper()}"),
        shape=[size if isinstance(size, int) else -1 for size in port.shape],
        optional=port.optional,
        description=port.description,
        variadic=port.variadic,
    )


def _code(port: Port) -> pb.DType:
    from swath.engine.graph.ports import dtype_name

    return _enum(pb.DType, f"D_TYPE_{dtype_name(port.dtype).upper()}")


def _category(name: str) -> pb.NodeCategory:
    return _enum(pb.NodeCategory, f"NODE_CATEGORY_{name.upper()}")


def _tags(names: tuple[str, ...] | list[str]) -> list[pb.NodeTag]:
    codes = (_enum(pb.NodeTag, f"NODE_TAG_{name.upper()}") for name in sorted(names))
    return [code for code in codes if code]


def _enum(enum: type, name: str):
    """Return a value by its name, 0 (unspecified) where the wire has no such name."""
    return dict(enum.items()).get(name, 0)  # type: ignore[attr-defined]
