"""Channels: all addresses of a service, retries, keepalive, health checks, and certificates that may change meanwhile.

`channel` is what services take to reach one another. The Python client makes its own of the same options and the same
reloading.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import grpc
import grpc.aio

from swath.api import IDEMPOTENT
from swath.errors import InvalidInput, Unavailable
from swath.retry import Retry
from swath.rpc.addresses import Address, parse_addresses
from swath.rpc.metadata import metadata_options
from swath.rpc.proxies import NO_PROXY
from swath.rpc.reloading import ReloadingAioChannel
from swath.rpc.tls import Material, TlsSettings, channel_credentials, tls_files

Option = tuple[str, Any]

_RETRY = Retry(on=Unavailable, initial_s=0.05, max_s=1.0, multiplier=3.0, attempts=5)
_WITHIN_THE_SUITE: Sequence[Option] = (
    NO_PROXY,
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    # When the last known replica goes, its successor is looked up at once; by default not for half a minute.
    ("grpc.dns_min_time_between_resolutions_ms", 1_000),
)


class ChannelSettings(TlsSettings, Protocol):
    """How a process connects to others."""

    @property
    def max_message_bytes(self) -> int:
        """Largest message sent or received."""
        ...

    @property
    def max_metadata_bytes(self) -> int:
        """Most metadata of an answer."""
        ...


def channel(
    addresses: str | Sequence[Address],
    service: str,
    settings: ChannelSettings,
    *,
    interceptors: Sequence[grpc.aio.ClientInterceptor] = (),
    check_health: bool = True,
) -> grpc.aio.Channel:
    """Return a channel to the replicas of a service; made where an event loop runs, and to be closed.

    Calls go round the replicas that are ready, and idempotent ones (`swath.api.IDEMPOTENT`) are made again where a
    replica went away. With TLS, the service must prove to be `<service>.swath`, and certificate files that change are
    taken up without a failed call.

    Args:
        addresses: Where it is: `HOST:PORT` or `IP:PORT,IP:PORT`.
        service: Its name, such as "session".
        settings: TLS files and limits of this process.
        interceptors: Of calls.
        check_health: Whether replicas are asked whether they are ready, and get calls only then.

    Raises:
        InvalidInput: The addresses or the TLS files cannot be used.
    """
    target = _target(addresses)
    options = [
        *channel_options(
            max_message_bytes=settings.max_message_bytes,
            max_metadata_bytes=settings.max_metadata_bytes,
            retry=_RETRY,
            retried=IDEMPOTENT,
            health_service=f"swath.{service}" if check_health else None,
            # A frozen or unreachable replica is found out within eight seconds; see `server_options` for its side.
            keepalive_s=5.0,
            keepalive_timeout_s=3.0,
            reconnect_s=(0.1, 2.0),
            server_name=f"{service}.swath",
        ),
        *_WITHIN_THE_SUITE,
    ]
    files = tls_files(settings)
    if files is None:
        return grpc.aio.insecure_channel(target, options=options, interceptors=interceptors)
    if settings.tls_ca is None:
        raise InvalidInput(f"tls_ca is not set: the {service} service could not prove who it is")

    def connect(material: Material) -> grpc.aio.Channel:
        credentials = channel_credentials(material)
        return grpc.aio.secure_channel(target, credentials, options=options, interceptors=interceptors)

    return ReloadingAioChannel(files, connect)


def channel_options(
    *,
    max_message_bytes: int,
    max_metadata_bytes: int,
    retry: Retry,
    retried: Iterable[str],
    health_service: str | None,
    keepalive_s: float,
    keepalive_timeout_s: float,
    reconnect_s: tuple[float, float],
    server_name: str | None = None,
) -> list[Option]:
    """Return the options of a channel, its service config among them: all addresses in turn, health checks, retries.

    Source: https://github.com/grpc/grpc/blob/master/doc/service_config.md

    Args:
        max_message_bytes: Largest message either way, and largest call that gRPC keeps to make it again.
        max_metadata_bytes: Most metadata of an answer.
        retry: When calls that failed with UNAVAILABLE are made again: pauses, and 1 to 5 tries. gRPC adds a jitter of
            its own, and knows no other time limit than the call's.
        retried: gRPC services whose idempotent methods (`swath.api.IDEMPOTENT`) are.
        health_service: Service name whose health decides which addresses get calls; None asks none.
        keepalive_s: Interval of pings.
        keepalive_timeout_s: Seconds after which an unanswered ping ends the connection.
        reconnect_s: First and longest pause between tries to connect.
        server_name: Name expected in the server's certificate where it is not the target's host.
    """
    config: dict[str, Any] = {"loadBalancingConfig": [{"round_robin": {}}]}
    if health_service is not None:
        config["healthCheckConfig"] = {"serviceName": health_service}
    attempts = retry.attempts or 5
    if attempts > 1:
        policy = {
            "maxAttempts": attempts,
            "initialBackoff": f"{retry.initial_s:g}s",
            "maxBackoff": f"{retry.max_s:g}s",
            "backoffMultiplier": retry.multiplier,
            "retryableStatusCodes": ["UNAVAILABLE"],
        }
        names = [{"service": service, "method": method} for service in retried for method in IDEMPOTENT[service]]
        config["methodConfig"] = [{"name": names, "retryPolicy": policy}]
    first_s, longest_s = reconnect_s
    options: list[Option] = [
        ("grpc.service_config", json.dumps(config)),
        ("grpc.service_config_disable_resolution", 1),
        ("grpc.enable_retries", int(attempts > 1)),
        ("grpc.max_send_message_length", max_message_bytes),
        ("grpc.max_receive_message_length", max_message_bytes),
        *metadata_options(max_metadata_bytes),
        # By default gRPC does not make calls above 256 KB again, and cubes are larger than that.
        ("grpc.per_rpc_retry_buffer_size", max_message_bytes),
        ("grpc.keepalive_time_ms", int(keepalive_s * 1000)),
        ("grpc.keepalive_timeout_ms", int(keepalive_timeout_s * 1000)),
        ("grpc.initial_reconnect_backoff_ms", int(first_s * 1000)),
        ("grpc.max_reconnect_backoff_ms", int(longest_s * 1000)),
        # One channel, one set of connections: closing it closes them, and one with new certificates finds no old ones.
        ("grpc.use_local_subchannel_pool", 1),
    ]
    if server_name:
        options.append(("grpc.ssl_target_name_override", server_name))
    return options


def _target(addresses: str | Sequence[Address]) -> str:
    try:
        places = parse_addresses(addresses) if isinstance(addresses, str) else tuple(addresses)
    except ValueError as error:
        raise InvalidInput(str(error)) from error
    written = [str(place) for place in places]
    if len(places) == 1 and places[0].is_unix:
        return written[0]
    if len(places) == 1 and not places[0].literal:
        return f"dns:///{written[0]}"
    families = {":" in place.host for place in places}
    if len(families) != 1 or not all(place.literal for place in places):
        raise InvalidInput(f"expected one HOST:PORT, or IP:PORT of one family with commas between, got {addresses!r}")
    return f"{'ipv6' if families == {True} else 'ipv4'}:{','.join(written)}"
