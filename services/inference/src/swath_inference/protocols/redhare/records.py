"""Records of a stream: JSON, read into batches."""

from __future__ import annotations

import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from swath.errors import InputInvalid, InvalidInput, TooLarge
from swath_inference.dataplane.request import Batch, check_frames
from swath_inference.protocols.redhare.forms import Form, form_of, spec_of
from swath_inference.protocols.redhare.payloads import (
    FORMATS,
    dtype_named,
    guessed,
    read_arrays,
    read_image,
    read_raw,
)

if TYPE_CHECKING:
    import torch

    from swath_inference.published.model import Published

Key = str | int | float | None
"""What a client tells its records apart by."""

_TENSOR_FIELDS = frozenset(("data", "shape", "dtype", "format"))
_FIELDS = _TENSOR_FIELDS | {"key", "input", "inputs", "outputs"}
_MAX_KEY = 1024
_INFINITE = (float("inf"), float("-inf"))  # 1e999 is JSON
_LINE_BREAKS = b"\r\n \t"
_PIECE = 1024**2


@dataclass(slots=True)
class Record:
    """A record, whose bytes are still those that came.

    Attributes:
        key: As the client gave it; None as long as it is not known.
        content: The rest.
        outputs: Names of the outputs wanted; empty means all.
        size: Bytes that it came in.
    """

    size: int
    key: Key = None
    content: Mapping[str, Any] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()

    def parse(self, data: bytes, limit: int) -> None:
        """Read what came. The key is known as soon as it can be read, even where something else is wrong.

        Raises:
            InvalidInput: It is no record.
            TooLarge: It has more bytes than the limit.
        """
        if len(data) > limit:
            raise TooLarge(
                f"a record of {len(data)} bytes is more than the {limit} that one may have "
                "(SWATH_INFERENCE_REDHARE_RECORD_BYTES)"
            )
        content = _json(data)
        key = content.get("key")
        if not isinstance(key, str | int | float | None) or len(str(key)) > _MAX_KEY or key in _INFINITE:
            raise InvalidInput(f"key: expected text or a number, of {_MAX_KEY} characters at most")
        self.key = key
        if "key" not in content:
            raise InvalidInput("the record has no 'key' to answer it by")
        if unknown := content.keys() - _FIELDS:
            raise InvalidInput(f"the record has {_shown(unknown)}; a record may hold {_shown(_FIELDS)}")
        outputs = content.get("outputs", [])
        if not isinstance(outputs, list) or not all(isinstance(each, str) for each in outputs):
            raise InvalidInput("outputs: expected a list of names")
        self.content, self.outputs = content, tuple(outputs)

    def batch(self, published: Published) -> Batch:
        """Return the batch of a record.

        Raises:
            InputInvalid: It does not fit the model.
            InvalidInput: It lacks something, or has it in another form.
        """
        content, batch = self.content, {}
        if "inputs" in content:
            if not isinstance(content["inputs"], dict):
                raise InvalidInput("inputs: expected an object, an input by each name")
            for name, each in content["inputs"].items():
                batch.update(_read(each if isinstance(each, dict) else {"data": each}, published, name))
        if "data" in content:
            own = {name: value for name, value in content.items() if name in _TENSOR_FIELDS}
            name = content.get("input", "")
            if not isinstance(name, str):
                raise InvalidInput("input: expected the name of an input")
            batch.update(_read(own, published, name))
        if not batch:
            raise InvalidInput("the record has neither 'data' nor 'inputs'")
        for name, tensor in batch.items():
            check_frames(name, tensor)
        return batch


def _read(given: Mapping[str, Any], published: Published, name: str) -> dict[str, torch.Tensor]:
    """Return the tensors of one input; of an archive, those of all that it has."""
    if unknown := given.keys() - _TENSOR_FIELDS:
        raise InvalidInput(f"inputs: {name}: expected {_shown(_TENSOR_FIELDS)}, got {_shown(unknown)}")
    shape, dtype, kind, data = _shape(given, name), given.get("dtype", ""), given.get("format", ""), given.get("data")
    if not isinstance(dtype, str):
        raise InvalidInput(f"{name or 'data'}: dtype: expected the name of an element type")
    if kind and kind not in FORMATS:
        raise InvalidInput(f"{name or 'data'}: format: expected one of {', '.join(FORMATS)}")
    if isinstance(data, list | int | float):
        form = form_of(published, name)
        return {form.name: _listed(data, dtype or form.dtype, shape, form.name)}
    content = _decoded(data, name)
    if not kind and not name and content.startswith(b"PK\x03\x04") and shape is None:
        # Its arrays have names, so it need not be known which input is meant.
        kind = "npz"
    if kind == "npz" and not name:
        return _named(content, published)
    form = form_of(published, name)
    kind = kind or guessed(content, form, described=shape is not None)
    return {form.name: _tensor(content, form, kind, shape, dtype)}


def _tensor(content: bytes, form: Form, kind: str, shape: tuple[int, ...] | None, dtype: str) -> torch.Tensor:
    match kind:
        case "raw":
            return read_raw(content, form, shape=shape, dtype=dtype)
        case "png" | "jpeg":
            return read_image(content, form, kind)
        case _:
            arrays = read_arrays(content, kind, form.name)
            if len(arrays) != 1:
                raise InputInvalid(f"{form.name}: expected one array, got {_shown(arrays)}")
            return next(iter(arrays.values()))


def _named(content: bytes, published: Published) -> dict[str, torch.Tensor]:
    """Return the arrays of an archive by the inputs that they are named after; one alone may have any name."""
    arrays = read_arrays(content, "npz", "data")
    if all(spec_of(published, name) for name in arrays):
        return arrays
    if len(arrays) == 1:
        return {form_of(published).name: next(iter(arrays.values()))}
    there = ", ".join(each.name for each in published.inputs)
    raise InputInvalid(f"data: an npz file with {_shown(arrays)}; the model has the inputs {there}")


def _shape(given: Mapping[str, Any], name: str) -> tuple[int, ...] | None:
    shape = given.get("shape")
    if shape is None:
        return None
    sizes = isinstance(shape, list) and all(isinstance(size, int) and not isinstance(size, bool) for size in shape)
    if not sizes or any(not -1 <= size < 2**62 for size in shape):
        raise InvalidInput(f"{name or 'data'}: shape: expected a list of sizes, -1 for one that follows")
    return tuple(shape)


def _decoded(data: Any, name: str) -> bytes:
    """Return what base64 stands for, with the line breaks of encodestring or without."""
    if not isinstance(data, str):
        raise InvalidInput(f"{name or 'data'}: expected base64, or a list of numbers")
    try:
        digits = data.encode("ascii").translate(None, _LINE_BREAKS)
        if b"=" in digits[:-2]:
            raise ValueError("padding before the end")
        # In pieces: each keeps all other threads from running.
        pieces = range(0, len(digits), _PIECE)
        return b"".join(binascii.a2b_base64(digits[at : at + _PIECE], strict_mode=True) for at in pieces)
    except ValueError as error:
        raise InputInvalid(f"{name or 'data'}: not base64: {error}") from None


def _listed(values: Any, dtype: str, shape: tuple[int, ...] | None, name: str) -> torch.Tensor:
    import torch

    kind = dtype_named(dtype, name)
    try:
        tensor = torch.tensor(values, dtype=kind)
        return tensor if shape is None else tensor.reshape(shape)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise InputInvalid(f"{name}: not numbers of {dtype} in equal rows: {error}") from None


def _json(data: bytes) -> dict[str, Any]:
    try:
        found = json.loads(data, parse_constant=_no_number)
    # RecursionError: it may be nested deeper than Python reads.
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"the record is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise InvalidInput(f"the record is no object, but {type(found).__name__}")
    return found


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON")


def _shown(names: Any) -> str:
    return ", ".join(ascii(str(each)[:64]) for each in sorted(map(str, names))[:16]) or "nothing"
