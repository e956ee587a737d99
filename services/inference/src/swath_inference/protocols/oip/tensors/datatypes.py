"""Datatypes of the protocol, and what of a pipeline's ports they stand for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

from swath.inference import open_inference_pb2 as pb

BYTES = "BYTES"
TEXTS = ("text", "str")
LIST, DICT = "list", "dict"
"""Types of ports that are no tensors; they travel as one element of BYTES: text, or JSON."""
_ANY = "tensor"


@dataclass(frozen=True, slots=True)
class Datatype:
    """A datatype of the protocol.

    Attributes:
        name: Such as "FP32".
        size: Bytes of an element; 0 where elements differ.
        field: Field of InferTensorContents that holds its elements; empty where there is none.
        config: Its number in a model's configuration.
        code: How `array` names the elements of that field where it holds them as memory does; empty elsewhere.
    """

    name: str
    size: int
    field: str
    config: Any
    code: str = ""


DATATYPES = MappingProxyType(
    {
        each.name: each
        for each in (
            Datatype("BOOL", 1, "bool_contents", pb.TYPE_BOOL),
            Datatype("UINT8", 1, "uint_contents", pb.TYPE_UINT8),
            Datatype("UINT16", 2, "uint_contents", pb.TYPE_UINT16),
            Datatype("UINT32", 4, "uint_contents", pb.TYPE_UINT32),
            Datatype("UINT64", 8, "uint64_contents", pb.TYPE_UINT64),
            Datatype("INT8", 1, "int_contents", pb.TYPE_INT8),
            Datatype("INT16", 2, "int_contents", pb.TYPE_INT16),
            Datatype("INT32", 4, "int_contents", pb.TYPE_INT32),
            Datatype("INT64", 8, "int64_contents", pb.TYPE_INT64),
            Datatype("FP16", 2, "", pb.TYPE_FP16),
            Datatype("BF16", 2, "", pb.TYPE_BF16),
            Datatype("FP32", 4, "fp32_contents", pb.TYPE_FP32, "f"),
            Datatype("FP64", 8, "fp64_contents", pb.TYPE_FP64, "d"),
            Datatype(BYTES, 0, "bytes_contents", pb.TYPE_STRING),
        )
    }
)
"""All of them, by name."""

_BY_PORT = MappingProxyType(
    {
        **{f"{kind}{bits}": f"{kind.upper()}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)},
        "bool": "BOOL",
        "float16": "FP16",
        "bfloat16": "BF16",
        "float32": "FP32",
        "float64": "FP64",
    }
)


def datatype_of(dtype: str) -> Datatype:
    """Return the datatype that a port is described by.

    Args:
        dtype: The port's type: numpy's name of an element type, or what there is beside tensors. A port that takes
            every number type is described as FP32; what else is no tensor, as BYTES.
    """
    return DATATYPES["FP32" if dtype == _ANY else _BY_PORT.get(dtype, BYTES)]


@cache
def torch_types() -> tuple[dict[str, Any], dict[Any, Datatype]]:
    """Return torch's element types by datatype's name, and the other way. Imports torch."""
    from swath.engine.graph.codec import OIP_DTYPES

    return dict(OIP_DTYPES), {dtype: DATATYPES[name] for name, dtype in OIP_DTYPES.items()}
