"""Messages of swath.inference.v1, written and read with one copy of what is large."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from swath.api.payloads import Buffer, Payloads, field
from swath.client.calls import Outputs
from swath.client.errors import CodecError, LocalError
from swath.client.tensors import DTYPES, as_array, wire_array
from swath.inference.v1 import inference_pb2 as pb

METHODS = f"/{pb.DESCRIPTOR.services_by_name['InferenceService'].full_name}/"


@dataclass(frozen=True, slots=True)
class ModelRef:
    """A published model, in place of a session.

    Attributes:
        name: Of the model.
        version: A number or an alias; empty is the alias "stable", or the newest version where there is none.
    """

    name: str
    version: str = ""


def what_of(session_id: str | None, model: str, version: str | int) -> str | ModelRef:
    """Return what is to be run.

    Raises:
        LocalError: Neither or both of a session and a model are given, or a version of no model.
    """
    if (session_id is None) == (not model):
        raise LocalError("say what to run: either a session or a model")
    if session_id is None:
        return ModelRef(model, str(version))
    if version != "":
        raise LocalError("a version is of a model, and not of a session")
    return session_id


def model_of(what: str | ModelRef) -> str:
    """Return the name of the model that is to be run; empty for a session."""
    return what.name if isinstance(what, ModelRef) else ""


def named(what: str | ModelRef) -> dict[str, Any]:
    """Return the fields of a first message that say what is to be run: a session's id, or a model."""
    if isinstance(what, str):
        return {"session_id": what}
    return {"model": what.name, "version": what.version}


def as_bytes(array: NDArray[Any]) -> memoryview:
    """The elements of an array in C order, not copied where they lie so."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def write_inputs(number: int, inputs: Mapping[str, Any]) -> Iterable[Buffer]:
    """Inputs by name as a map of tensors, on the wire.

    Args:
        number: Of the field.
        inputs: Arrays or torch tensors; None leaves an input out.

    Raises:
        CodecError: A dtype that the wire has no code for.
    """
    for name, value in inputs.items():
        if value is None:
            continue
        array, code = wire_array(as_array(value))
        header: Any = pb.Tensor(shape=array.shape)
        header.dtype = code
        tensor = [header.SerializeToString(), *field(pb.Tensor.DATA_FIELD_NUMBER, as_bytes(array))]
        yield from field(number, *field(1, name.encode()), *field(2, *tensor))


def read_outputs(result: pb.Result, payloads: Payloads) -> Outputs:
    """The outputs of a frame, as arrays of their own."""
    found = Outputs(
        (name, read_array(tensor.shape, tensor.dtype, payloads.of(tensor.data)))
        for name, tensor in result.outputs.items()
    )
    found.metrics = dict(result.metrics)
    return found


def read_array(shape: Iterable[int], code: int, data: Buffer) -> NDArray[Any]:
    """An array of its own of bytes on the wire."""
    return np.frombuffer(data, dtype_of(code)).reshape(tuple(shape) or (-1,)).copy()


def dtype_of(code: int) -> np.dtype[Any]:
    """The dtype of a code.

    Raises:
        CodecError: There is none.
    """
    if code not in DTYPES:
        raise CodecError(f"the server sent elements of the unknown type {code}")
    return DTYPES[code]
