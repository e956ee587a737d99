"""A flood of requests that are wrong somewhere, over several connections, and what was answered."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import message_factory

from swath.api.descriptors import find_service
from swath.rpc.proxies import NO_PROXY

from .complaints import complaint_of_answer, complaint_of_status
from .damage import Damage

PATIENCE_S = 60.0
_CONNECTIONS, _AT_A_TIME = 4, 8
_INFER = ("ModelInfer", "ModelStreamInfer", "StreamInfer", "stream_infer")
_OFTEN = 8

Good = Mapping[str, Sequence[Sequence[bytes]]]
"""Streams of requests that are answered as they should be, by the path of their method; of a unary one, of length 1."""


@dataclass
class Answered:
    """What came of a flood.

    Attributes:
        requests: How many were sent.
        codes: Statuses of the calls that they were sent by.
        faults: What must not be, in words.
    """

    requests: int = 0
    codes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def add(self, other: Answered) -> None:
        """Add what came of another one."""
        self.requests += other.requests
        self.codes += other.codes
        self.faults += other.faults


def flood(target: str, good: Good, requests: int, seed: int) -> Answered:
    """Send so many requests to a server, and return when each call has ended.

    Args:
        target: The server.
        good: What is damaged.
        requests: How many; every message of a stream is one.
        seed: Of what is damaged, and how.
    """
    methods = {path: _Method(path) for path in good}
    calls, lock = _calls(good, methods, requests, Damage(seed)), threading.Lock()

    def one_after_the_other(channel: grpc.Channel) -> Answered:
        answered = Answered()
        while True:
            with lock:
                call = next(calls, None)
            if call is None:
                return answered
            _ask(channel, *call, answered)

    # As several clients, which do not share a connection.
    options = [NO_PROXY, ("grpc.use_local_subchannel_pool", 1)]
    together = Answered()
    with ExitStack() as stack, ThreadPoolExecutor(_CONNECTIONS * _AT_A_TIME) as threads:
        channels = [stack.enter_context(grpc.insecure_channel(target, options=options)) for _ in range(_CONNECTIONS)]
        for answered in threads.map(one_after_the_other, channels * _AT_A_TIME):
            together.add(answered)
    return together


class _Method:
    def __init__(self, path: str) -> None:
        service, name = path[1:].split("/")
        described = find_service(service).methods_by_name[name]
        self.path = path
        self.streams = described.client_streaming
        self.request = message_factory.GetMessageClass(described.input_type)
        self.answer = message_factory.GetMessageClass(described.output_type)


def _calls(
    good: Good, methods: Mapping[str, _Method], requests: int, damage: Damage
) -> Iterator[tuple[_Method, list[bytes]]]:
    paths = [path for path in good for _ in range(_OFTEN if path.endswith(_INFER) else 1)]
    while requests > 0:
        path = damage.choose(paths)
        method, whole = methods[path], damage.choose(good[path])
        sent = damage.stream(whole, method.request) if method.streams else [damage.request(whole[0], method.request)]
        requests -= max(len(sent), 1)
        yield method, sent


def _ask(channel: grpc.Channel, method: _Method, sent: list[bytes], answered: Answered) -> None:
    begun, code = time.monotonic(), "OK"
    try:
        if method.streams:
            # Not by grpc.aio: its client calls a stream that ended while it wrote INTERNAL, whatever the server said.
            answers = list(channel.stream_stream(method.path)(iter(sent), timeout=PATIENCE_S))
        else:
            answers = [channel.unary_unary(method.path)(sent[0], timeout=PATIENCE_S)]
    except grpc.RpcError as error:
        status: Any = error
        code, took = status.code().name, time.monotonic() - begun
        complaint = complaint_of_status(code, status.details() or "", waited=took >= PATIENCE_S)
    else:
        complaint = next(filter(None, (complaint_of_answer(method.answer, each) for each in answers)), "")
    answered.requests += max(len(sent), 1)
    answered.codes[code] += 1
    if complaint:
        answered.faults.append(f"{method.path}: {complaint}; sent {[each.hex() for each in sent]}")
