"""Inputs of a request: checked first, made into tensors later.

What a request says of its inputs is checked against what the model declares, and every length against its shape, with
integers of any size, before an element is looked at. Raw inputs become tensors over the bytes that arrived.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from swath.api.payloads import Buffer, Payloads
from swath.errors import InputInvalid
from swath.inference import open_inference_pb2 as pb
from swath.published.model import TensorSpec
from swath.published.names import shown
from swath_inference.dataplane.request import check_frames
from swath_inference.protocols.oip.messages import InferMessage, MemoryReference, memory_reference
from swath_inference.protocols.oip.tensors.datatypes import (
    BYTES,
    DATATYPES,
    DICT,
    LIST,
    TEXTS,
    Datatype,
    datatype_of,
    torch_types,
)

ReadMemory = Callable[[MemoryReference, str], Callable[[], memoryview]]
"""Returns what reads the shared memory that a tensor of a name lies in."""

_Input = pb.ModelInferRequest.InferInputTensor
_TOO_MANY = 2**60
_PYTHON = {LIST: list, DICT: dict}


@dataclass(frozen=True, slots=True)
class Input:
    """An input that fits what the model declares.

    Attributes:
        name: Of the port.
        dtype: The port's type.
        datatype: Of the elements.
        shape: Sizes.
        raw: Reads its elements as raw bytes; None where they came in another form.
        values: Its elements then.
        memory_bytes: Those of shared memory that it takes; 0 where it came with the request.
    """

    name: str
    dtype: str
    datatype: Datatype
    shape: tuple[int, ...]
    raw: Callable[[], Buffer] | None
    values: Any = None
    memory_bytes: int = 0

    def read(self, payloads: Payloads) -> Any:
        """Return what the pipeline takes.

        Raises:
            InputInvalid: A typed element that its datatype does not hold, or bytes that are no elements of BYTES.
            FileMissing: Its shared memory is gone.
        """
        from swath.engine.graph.codec import view_bytes

        if self.datatype.name == BYTES:
            return self._decoded(self._strings(payloads))
        types, _ = torch_types()
        data = self.raw() if self.raw is not None else self._packed()
        tensor = view_bytes(self.shape, types[self.datatype.name], data, name=self.name)
        # No shape means one number here, and one axis to the codec.
        tensor = tensor if self.shape else tensor.reshape(())
        check_frames(self.name, tensor)
        return tensor

    def _packed(self) -> Buffer:
        """Return typed elements as raw bytes."""
        datatype = self.datatype
        if datatype.name == "BOOL":
            return np.array(self.values, np.bool_).tobytes()
        kind = np.dtype(datatype.name.lower()).newbyteorder("<")
        elements = np.array(self.values, np.uint64 if datatype.name.startswith("U") else np.int64)
        bounds = np.iinfo(kind)
        if elements.size and (elements.min() < bounds.min or elements.max() > bounds.max):
            wrong = next(each for each in self.values if not bounds.min <= each <= bounds.max)
            raise InputInvalid(
                f"inference input {self.name!r}: expected {datatype.name} elements of {bounds.min} to {bounds.max}, "
                f"got {wrong}"
            )
        return elements.astype(kind).tobytes()

    def _strings(self, payloads: Payloads) -> list[bytes]:
        if self.raw is None:
            return [bytes(payloads.of(each)) for each in self.values]
        from swath.engine.graph.codec import split_strings

        return split_strings(self.raw(), math.prod(self.shape), name=f"inference input {self.name!r}")

    def _decoded(self, elements: Sequence[bytes]) -> Any:
        """Return what one element of BYTES stands for."""
        if len(elements) != 1:
            raise InputInvalid(f"inference input {self.name!r}: expected one element of BYTES, got {len(elements)}")
        try:
            text = elements[0].decode()
            if self.dtype in TEXTS:
                return text
            value = json.loads(text)
        except (ValueError, RecursionError) as error:
            kind = "text in UTF-8" if self.dtype in TEXTS else "JSON"
            raise InputInvalid(f"inference input {self.name!r}: its element is no {kind}: {error}") from error
        if (expected := _PYTHON.get(self.dtype)) is not None and not isinstance(value, expected):
            raise InputInvalid(
                f"inference input {self.name!r}: expected a JSON {self.dtype}, got a {type(value).__name__}"
            )
        return value


def checked_inputs(
    message: InferMessage,
    specs: Sequence[TensorSpec],
    memory: ReadMemory,
    *,
    model: str,
    takes: Mapping[str, Collection[str]],
    max_batch_size: int,
) -> list[Input]:
    """Return the inputs of a request.

    Which of them may be left out the pipeline says when it runs: that depends on the outputs wanted.

    Args:
        message: The request.
        specs: What the model declares.
        memory: Finds shared memory.
        model: Its name, for errors.
        takes: Names of the datatypes that each input takes; of those that are not here, the one that is declared.
        max_batch_size: Of the model; 0 where its first axes are no batch's.

    Raises:
        InputInvalid: They do not fit what the model declares, or their data do not fit their shapes.
        NotFound, Precondition: What `memory` raises.
    """
    request = message.request
    declared = {spec.name: spec for spec in specs}
    raw = _raw_of(message, model)
    found: dict[str, Input] = {}
    for each in request.inputs:
        spec = declared.get(each.name)
        if spec is None:
            raise InputInvalid(
                f"unexpected inference input {shown(each.name)} for model {model!r}; its inputs are "
                f"{', '.join(declared) or 'none'}"
            )
        if each.name in found:
            raise InputInvalid(f"input {each.name!r} already exists in request for model {model!r}")
        datatype = _datatype(each, spec, model, takes)
        shape = _shape(each, spec, model, max_batch_size)
        found[each.name] = _placed(each, spec, datatype, shape, raw, message.payloads, memory, model)
    if max_batch_size:
        _check_batches(found, model)
    return list(found.values())


def _raw_of(message: InferMessage, model: str) -> Callable[[_Input], Buffer | None]:
    """Return what gives the raw data of each input that has some, asked in their order."""
    request = message.request
    entries = request.raw_input_contents
    if not entries:
        return lambda _: None
    for each in request.inputs:
        if each.HasField("contents") and each.contents.ListFields():
            raise InputInvalid(
                f"contents field must not be specified when using raw_input_contents for {shown(each.name)} for model "
                f"{model!r}"
            )
    awaited = [each.name for each in request.inputs if "shared_memory_region" not in each.parameters]
    if len(entries) > len(awaited):
        raise InputInvalid(
            f"expected {len(awaited)} entries of raw_input_contents for model {model!r}, one for each input that is "
            f"not in shared memory, got {len(entries)}"
        )
    left = iter(entries)

    def take(each: _Input) -> Buffer | None:
        entry = next(left, None)
        if entry is None:
            raise InputInvalid(f"unable to find data for input tensor {each.name!r} for model {model!r} in request.")
        return message.payloads.of(entry)

    return take


def _datatype(each: _Input, spec: TensorSpec, model: str, takes: Mapping[str, Collection[str]]) -> Datatype:
    given = DATATYPES.get(each.datatype)
    taken = takes.get(each.name) or (datatype_of(spec.dtype).name,)
    if given is None or given.name not in taken:
        wanted = " or ".join(repr(name) for name in DATATYPES if name in taken)
        raise InputInvalid(
            f"inference input {each.name!r} data-type is {shown(each.datatype)}, but model {model!r} expects {wanted}"
        )
    return given


def _shape(each: _Input, spec: TensorSpec, model: str, max_batch_size: int) -> tuple[int, ...]:
    shape = tuple(each.shape)
    if shape and min(shape) < 0:
        raise InputInvalid(
            f"All input dimensions should be specified for input {each.name!r} for model {model!r}, got {_sizes(shape)}"
        )
    if not datatype_of(spec.dtype).size:
        # One element; how many axes that has is nobody's business.
        fits = math.prod(shape) == 1
    else:
        fits = len(shape) == len(spec.shape) and all(
            want in (-1, have) for want, have in zip(spec.shape, shape, strict=True)
        )
    if not fits:
        raise InputInvalid(
            f"unexpected shape for input {each.name!r} for model {model!r}. Expected {_sizes(spec.shape or (1,))}, got "
            f"{_sizes(shape)}."
        )
    if max_batch_size and shape[0] > max_batch_size:
        raise InputInvalid(
            f"inference request batch-size must be <= {max_batch_size} for {model!r}, got {shape[0]} for input "
            f"{each.name!r}"
        )
    return shape


def _placed(
    each: _Input,
    spec: TensorSpec,
    datatype: Datatype,
    shape: tuple[int, ...],
    raw: Callable[[_Input], Buffer | None],
    payloads: Payloads,
    memory: ReadMemory,
    model: str,
) -> Input:
    """Return an input whose data are found, and as long as its shape says."""
    count = math.prod(shape)
    if math.prod(size for size in shape if size) >= _TOO_MANY:
        raise InputInvalid(f"the shape of input {each.name!r} for model {model!r} is too large: {_sizes(shape)}")
    expected = count * datatype.size
    reference = memory_reference(each.parameters, each.name)
    if reference is not None:
        if each.HasField("contents") and each.contents.ListFields():
            raise InputInvalid(f"input {each.name!r} for model {model!r} has contents, and shared memory beside it")
        if datatype.size and reference.size != expected:
            raise _mismatch(each, model, expected, reference.size)
        return Input(each.name, spec.dtype, datatype, shape, memory(reference, each.name), memory_bytes=reference.size)
    data = raw(each)
    if data is not None:
        if datatype.size and len(data) != expected:
            raise _mismatch(each, model, expected, len(data))
        return Input(each.name, spec.dtype, datatype, shape, lambda: data)
    values = _typed(each, datatype, model, empty=not count)
    if datatype.code:
        # As memory holds them: a view of what arrived, where they came packed.
        numbers = payloads.numbers(values, datatype.code)
        if len(numbers) != expected:
            raise _mismatch(each, model, expected, len(numbers))
        return Input(each.name, spec.dtype, datatype, shape, lambda: numbers)
    if len(values) != count:
        if not datatype.size:
            raise InputInvalid(
                f"expected {count} string elements for inference input {each.name!r} for model {model!r}, got "
                f"{len(values)}"
            )
        raise _mismatch(each, model, expected, len(values) * datatype.size)
    return Input(each.name, spec.dtype, datatype, shape, None, values)


def _typed(each: _Input, datatype: Datatype, model: str, *, empty: bool) -> Any:
    """Return the typed elements of an input."""
    filled = [described.name for described, _ in each.contents.ListFields()] if each.HasField("contents") else []
    if wrong := [name for name in filled if name != datatype.field]:
        place = f"in {datatype.field}" if datatype.field else "in raw_input_contents alone"
        raise InputInvalid(
            f"unexpected explicit tensor data for input tensor {each.name!r} for model {model!r}: {', '.join(wrong)}, "
            f"expected datatype {datatype.name!r} {place}"
        )
    if not filled and not empty:
        raise InputInvalid(f"unable to find data for input tensor {each.name!r} for model {model!r} in request.")
    return getattr(each.contents, datatype.field) if datatype.field else ()


def _check_batches(found: Mapping[str, Input], model: str) -> None:
    sizes = {name: each.shape[0] for name, each in found.items()}
    if len(set(sizes.values())) > 1:
        raise InputInvalid(f"the inputs of a batch of model {model!r} have different batch sizes: {sizes}")


def _mismatch(each: _Input, model: str, expected: int, got: int) -> InputInvalid:
    return InputInvalid(
        f"input byte size mismatch for input {each.name!r} for model {model!r}. Expected {expected}, got {got}"
    )


def _sizes(shape: Sequence[int]) -> str:
    """Return sizes as the protocol's clients know them; of many axes the first ones."""
    shown = ",".join(map(str, shape[:16]))
    return f"[{shown},... {len(shape)} dimensions]" if len(shape) > 16 else f"[{shown}]"
