"""Answers of a stream, written with one copy of what is large."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterator
from typing import Any

from swath.api import REDHARE
from swath.api.payloads import Buffer, field
from swath.redhare import stream_pb2 as pb
from swath.rpc.server.failures import told_of
from swath.rpc.status import short
from swath_inference.protocols.redhare.records import Key

SMALL = 64
"""Up to so many elements an output is given as numbers as well."""


def write_result(key: Key, version: int, outputs: Iterator[tuple[str, Any]]) -> bytes:
    """Return the answer of a record on the wire.

    Args:
        key: Of the record.
        version: Of the model, which has computed it.
        outputs: By `node.port`: numbers and tensors.
    """
    parts: list[Buffer] = [f'{{"key": {json.dumps(key)}, "version": {version}, "result": {{'.encode()]
    for index, (name, value) in enumerate(outputs):
        parts.append(f"{', ' if index else ''}{json.dumps(name)}: ".encode())
        if isinstance(value, int | float):
            parts.append(json.dumps(_finite(value)).encode())
        else:
            parts += _tensor(value, name)
    parts.append(b"}}")
    return _response(parts)


def write_error(key: Key, error: Exception) -> bytes:
    """Return the answer of a record that could not be computed."""
    told = told_of(error, method=f"/{REDHARE}/stream_infer")
    found: dict[str, Any] = {"code": told.code, "reason": told.reason, "message": short(told.message)}
    if told.retry_after is not None:
        found["retry_after_s"] = told.retry_after
    return _response([json.dumps({"key": key, "error": found}).encode()])


def _tensor(value: Any, name: str) -> Iterator[Buffer]:
    from swath.engine.graph.codec import encode

    shape, _, data = encode(value, name=name)
    dtype = str(value.dtype).removeprefix("torch.")
    yield f'{{"shape": {list(shape)}, "dtype": "{dtype}", "data": "'.encode()
    yield base64.b64encode(data)
    yield b'"'
    if value.numel() <= SMALL:
        yield f', "values": {json.dumps(_listed(value.tolist()))}'.encode()
    yield b"}"


def _listed(values: Any) -> Any:
    return [_listed(each) for each in values] if isinstance(values, list) else _finite(values)


def _finite(value: float) -> float | None:
    """Return a number that JSON has: it has neither NaN nor infinities, which `data` tells apart."""
    return value if math.isfinite(value) else None


def _response(parts: list[Buffer]) -> bytes:
    return b"".join(field(pb.Response.DATA_FIELD_NUMBER, *parts))
