"""Metadata below the limit always gets through a real gateway."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import grpc
import pytest

from swath.api import CUVIS
from swath.rpc.metadata import MAX_METADATA_BYTES

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
