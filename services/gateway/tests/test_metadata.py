"""Metadata below the limit always gets through a real gateway."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import grpc
import pytest

from swath.api import CUVIS
from swath.rpc.metadata import MAX_METADATA_BYTES, metadata_options

CALLS = 300
METHOD = f"/{CUVIS}/GetParameterSchema"


@pytest.mark.parametrize("size", [8_000, 15_500, MAX_METADATA_BYTES - 100])
def test_metadata_below_the_limit_is_never_refused(gateway: Callable, replicas: Callable, size: int) -> None:
    ends: Counter[grpc.StatusCode] = Counter()
    options = [("grpc.enable_retries", 0)]
    with grpc.insecure_channel(gateway(replicas("answers")).target, options=options) as channel:
        for _ in range(CALLS):
            call = channel.unary_unary(METHOD).future(b"", timeout=60, metadata=(("authorization", "x" * size),))
            ends[call.code()] += 1
    assert ends == {grpc.StatusCode.OK: CALLS}


@pytest.mark.parametrize("size", [8_000, 15_500, MAX_METADATA_BYTES - 200])
@pytest.mark.parametrize("limit", [MAX_METADATA_BYTES, 8 * MAX_METADATA_BYTES])
def test_metadata_of_answers_below_the_limit_always_arrives(
    gateway: Callable, replicas: Callable, size: int, limit: int
) -> None:
    arrived: Counter[int] = Counter()
    target = gateway(replicas("answers"), max_metadata_bytes=limit).target
    with grpc.insecure_channel(target, options=metadata_options(MAX_METADATA_BYTES)) as channel:
        for _ in range(CALLS // 5):
            call = channel.unary_unary(METHOD).future(b"", timeout=60, metadata=(("answer-bytes", str(size)),))
            arrived[len(dict(call.trailing_metadata())["answer"])] += 1
    assert arrived == {size: CALLS // 5}
