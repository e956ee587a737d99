"""What no answer may be, whatever was asked: each is a fault of the server."""

from __future__ import annotations

import json
from typing import Any

import grpc
from google.protobuf.message import Message

from swath.inference import open_inference_pb2
from swath.inference.v1 import inference_pb2
from swath.redhare import stream_pb2

FAULTS = {
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.DATA_LOSS,
    grpc.StatusCode.DEADLINE_EXCEEDED,
}
"""Statuses that a server has no reason for."""
_NAMES = {code.name for code in FAULTS}
_NUMBERS = {code.value[0] for code in FAULTS}
_INSIDE = ("Traceback", "/site-packages/", "internal error")


def complaint_of_status(code: str, words: str, *, waited: bool = True) -> str:
    """Return what is wrong with a status, in words; nothing where nothing is.

    Args:
        code: Its name.
        words: Its text.
        waited: Whether the client has waited for as long as it would. A request may ask for less.
    """
    if code in _NAMES and (waited or code != grpc.StatusCode.DEADLINE_EXCEEDED.name):
        return f"{code}: {words}"
    return _shown(words)


def complaint_of_answer(kind: type[Message], data: bytes) -> str:
    """Return what is wrong with an answer that tells of errors itself; nothing where nothing is.

    Args:
        kind: Its type.
        data: It.
    """
    answer: Any
    if kind is stream_pb2.Response:
        error = json.loads(stream_pb2.Response.FromString(data).data).get("error")
        return "" if error is None else complaint_of_status(error["code"], error["message"])
    if kind is open_inference_pb2.ModelStreamInferResponse:
        return _shown(open_inference_pb2.ModelStreamInferResponse.FromString(data).error_message)
    if kind is inference_pb2.StreamInferResponse:
        answer = inference_pb2.StreamInferResponse.FromString(data)
        error = answer.result.error
        return f"{error.code}: {error.message}" if error.code in _NUMBERS else _shown(error.message)
    return ""


def _shown(words: str) -> str:
    """Return words that tell of the inside of the server."""
    return words if any(each in words for each in _INSIDE) else ""
