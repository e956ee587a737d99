"""Requests whose large payloads lie where they arrived, and what their parameters say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from swath.api.payloads import Payloads, split
from swath.errors import InputInvalid
from swath.inference import open_inference_pb2 as pb

_SEQUENCE_SWITCHES = ("sequence_start", "sequence_end")
_EMPTY_FINAL = "triton_enable_empty_final_response"
_RESERVED = "triton_"
_DEFAULT_LEVEL = 100
"""Level of calls with priority 0: those with a smaller one go before them, those with a larger one after."""


@dataclass(frozen=True, slots=True)
class InferMessage:
    """A ModelInferRequest.

    Attributes:
        request: It, without its large payloads.
        payloads: What its fields of bytes and numbers stand for.
        size: Bytes that it came in.
    """

    request: pb.ModelInferRequest
    payloads: Payloads
    size: int

    @classmethod
    def read(cls, data: bytes) -> InferMessage:
        """Read a request."""
        return cls(*split(pb.ModelInferRequest, data), len(data))


@dataclass(frozen=True, slots=True)
class CallParameters:
    """What the parameters of a request ask for.

    Attributes:
        priority: As the data plane has it: calls with a higher one go first.
        queue_s: Seconds after which a call that still waits for the device is given up; None means never.
    """

    priority: int = 0
    queue_s: float | None = None


_NONE = CallParameters()


def call_parameters(parameters: Mapping[str, pb.InferParameter]) -> CallParameters:
    """Return what the parameters of a request ask for. Those of sequences, and ones that nobody knows, ask for nothing.

    Raises:
        InputInvalid: One has no value, a value of another type than it takes, or a reserved name.
    """
    if not parameters:
        return _NONE
    for name, value in parameters.items():
        if not value.WhichOneof("parameter_choice"):
            raise _wrong_type(name, "int64_param, bool_param, or string_param")
        if name in _SEQUENCE_SWITCHES or name == _EMPTY_FINAL:
            _value(parameters, name, "bool_param")
        elif name.startswith(_RESERVED):
            raise InputInvalid(
                f"parameter keys starting with '{_RESERVED}' are reserved for the server and should not be specified, "
                f"got {name[:80]!r}"
            )
    _value(parameters, "sequence_id", "int64_param", "string_param")
    level = _at_least_0("priority", _value(parameters, "priority", "int64_param", "uint64_param"))
    timeout_us = _at_least_0("timeout", _value(parameters, "timeout", "int64_param"))
    return CallParameters(_DEFAULT_LEVEL - level if level else 0, timeout_us / 1e6 if timeout_us else None)


@dataclass(frozen=True, slots=True)
class MemoryReference:
    """Where in shared memory a tensor lies, or is to.

    Attributes:
        region: Name that the client has registered.
        offset: Where in the region it begins, in bytes.
        size: Its bytes.
    """

    region: str
    offset: int
    size: int


def memory_reference(parameters: Mapping[str, pb.InferParameter], tensor: str) -> MemoryReference | None:
    """Return the shared memory that the parameters of a tensor name; None if they name none.

    Raises:
        InputInvalid: A parameter of it has a value of another type, is negative or is missing.
    """
    if not parameters:
        return None
    region = _value(parameters, "shared_memory_region", "string_param")
    size = _value(parameters, "shared_memory_byte_size", "int64_param", "uint64_param")
    offset = _value(parameters, "shared_memory_offset", "int64_param", "uint64_param")
    if region is None:
        if size is not None or offset is not None:
            raise InputInvalid(
                "'shared_memory_region' must be specified along with 'shared_memory_byte_size' and "
                f"'shared_memory_offset' for tensor {tensor!r}"
            )
        return None
    if size is None:
        raise InputInvalid(
            "'shared_memory_byte_size' must be specified along with 'shared_memory_region' parameter for tensor "
            f"{tensor!r}"
        )
    return MemoryReference(
        region, _at_least_0("shared_memory_offset", offset), _at_least_0("shared_memory_byte_size", size)
    )


def classes_wanted(parameters: Mapping[str, pb.InferParameter]) -> int:
    """Return how many classes of an output are wanted in place of its values; 0 for its values.

    Raises:
        InputInvalid: It is no number above 0.
    """
    if not parameters:
        return 0
    count = _value(parameters, "classification", "int64_param")
    if count is not None and count <= 0:
        raise InputInvalid(f"invalid value for 'classification' parameter, expected value > 0, got {count}")
    return count or 0


def _value(parameters: Mapping[str, pb.InferParameter], name: str, *kinds: str) -> Any:
    """Return the value of a parameter, None where there is no such parameter."""
    if name not in parameters:
        return None
    value = parameters[name]
    kind = value.WhichOneof("parameter_choice")
    if kind not in kinds:
        raise _wrong_type(name, " or ".join(kinds))
    return getattr(value, kind)


def _wrong_type(name: str, expected: str) -> InputInvalid:
    return InputInvalid(f"invalid value type for '{name[:80]}' parameter, expected {expected}.")


def _at_least_0(name: str, value: int | None) -> int:
    if value is not None and value < 0:
        raise InputInvalid(f"invalid value for '{name}', expected value >= 0, got {value}.")
    return value or 0
