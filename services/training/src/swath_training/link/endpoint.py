"""Where a worker finds its service."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import grpc.aio

from swath.rpc.proxies import NO_PROXY

GRPC_MESSAGE_BYTES = 4 << 20
"""The limit on a received message that gRPC has by itself."""


@dataclass(frozen=True)
class Endpoint:
    """A training service, as its workers see it.

    Attributes:
        connect: Opens a channel to it; called where an event loop runs.
        max_message_bytes: Largest message that goes over the link, either way.
    """

    connect: Callable[[], grpc.aio.Channel]
    max_message_bytes: int = GRPC_MESSAGE_BYTES


def local(address: str, max_message_bytes: int = GRPC_MESSAGE_BYTES) -> Endpoint:
    """Return the service on this machine.

    Args:
        address: Where it listens, as gRPC writes it.
        max_message_bytes: As for `Endpoint`.
    """
    options = [
        NO_PROXY,
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1000),
        ("grpc.keepalive_time_ms", 15_000),
        *message_limits(max_message_bytes),
    ]
    return Endpoint(lambda: grpc.aio.insecure_channel(address, options=options), max_message_bytes)


def message_limits(max_message_bytes: int) -> list[tuple[str, int]]:
    """Return the options by which one end of a link keeps to the limit."""
    return [
        ("grpc.max_receive_message_length", max_message_bytes),
        ("grpc.max_send_message_length", max_message_bytes),
    ]
