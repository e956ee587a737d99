"""Inputs of a request, checked: they become tensors later, raw ones over the bytes that arrived.

What a request says of its inputs is checked against what the model declares, and every length against its shape, with
integers of any size, before an element is looked at.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from swath.api.payloads import Buffer, Payloads
from swath.errors import InputInvalid
from swath.inference import open_inference_pb2 as pb
from swath.published.model import TensorSpec
from swath.published.names import shown
from swath_inference.protocols.oip.messages import InferMessage, MemoryReference, memory_reference
from swath_inference.protocols.oip.tensors.datatypes import DATATYPES, Datatype, datatype_of
from swath_inference.protocols.oip.tensors.elements import Input

ReadMemory = Callable[[MemoryReference, str], Callable[[], memoryview]]
"""Returns what reads the shared memory that a tensor of a name lies in."""

_Input = pb.ModelInferRequest.InferInputTensor
_TOO_MANY = 2**60


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
