"""Metadata through the real gateway: up to the limit always taken, above it always refused in words."""

from __future__ import annotations

from collections import Counter

import grpc
import pytest

from swath.api import CUVIS
from swath.client import Client, ClientConfig
from swath.client.errors import ExhaustedError, call_error
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.rpc.metadata import MAX_METADATA_BYTES
from swath_suite.suite import Suite

CALLS = 200
METHOD = f"/{CUVIS}/GetParameterSchema"
REQUEST = pb.GetParameterSchemaRequest(config_type="trainrun").SerializeToString()
ENTRY_BYTES = len("authorization") + 32


def _ends(suite: Suite, size: int, calls: int = CALLS) -> tuple[Counter[str], BaseException | None]:
    """Make calls that carry so many bytes of metadata; return how they ended, and the last error."""
    ends: Counter[str] = Counter()
    last = None
    token = "x" * (size - ENTRY_BYTES)
    with grpc.insecure_channel(suite.target, options=[("grpc.enable_retries", 0)]) as channel:
        method = channel.unary_unary(METHOD)
        for _ in range(calls):
            try:
                method(REQUEST, timeout=120, metadata=(("authorization", token),))
                ends["OK"] += 1
            except grpc.RpcError as error:
                last = error
                ends[error.code().name] += 1
    return ends, last


@pytest.mark.parametrize("size", [8_000, 15_500, MAX_METADATA_BYTES - 1024, MAX_METADATA_BYTES])
def test_up_to_the_limit_no_call_is_refused(suite: Suite, size: int) -> None:
    assert _ends(suite, size)[0] == {"OK": CALLS}


@pytest.mark.parametrize("size", [MAX_METADATA_BYTES + 1, MAX_METADATA_BYTES + 3000, 2 * MAX_METADATA_BYTES])
def test_above_the_limit_every_call_is_refused_in_words(suite: Suite, size: int) -> None:
    ends, last = _ends(suite, size)
    assert ends == {"RESOURCE_EXHAUSTED": CALLS}
    error = call_error(last)
    assert isinstance(error, ExhaustedError)
    assert "SWATH_MAX_METADATA_BYTES" in error.message


def test_an_entry_that_the_gateway_cannot_even_read_is_refused_in_words(suite: Suite) -> None:
    ends, _ = _ends(suite, 5 * MAX_METADATA_BYTES, calls=5)
    assert "OK" not in ends
    with (
        Client(ClientConfig(target=suite.target, token="x" * 5 * MAX_METADATA_BYTES)) as client,
        pytest.raises(ExhaustedError, match="longer than it can read: 64 KiB"),
    ):
        client.open_session()
