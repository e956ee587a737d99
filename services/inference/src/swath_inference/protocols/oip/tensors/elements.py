"""An input's elements, from the form in which they came to what a pipeline takes."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from swath.api.payloads import Buffer, Payloads
from swath.errors import InputInvalid
from swath_inference.dataplane.request import check_frames
from swath_inference.protocols.oip.tensors.datatypes import BYTES, DICT, LIST, TEXTS, Datatype, torch_types

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
            InputInvalid: A typed element that its datatype does not hold, bytes that are no elements of BYTES, or
                shared memory that has shrunk.
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
