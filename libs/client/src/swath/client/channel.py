"""Channels: targets, service configs and options, the same for the sync and the async client."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from swath.api import CUVIS, IDEMPOTENT, RUNS, WORKSPACE
from swath.client.config import ClientConfig
from swath.client.reloading import ReloadingAioChannel, ReloadingChannel, check_files

SERVICE = CUVIS
WORKSPACE_SERVICE = WORKSPACE
_PUBLIC = (SERVICE, WORKSPACE_SERVICE, RUNS)


def target_of(target: str) -> str:
    """Give a plain HOST:PORT the ``dns:///`` scheme, so that all addresses of a name are used."""
    scheme = target.split(":", 1)[0]
    known = {"dns", "unix", "unix-abstract", "ipv4", "ipv6", "vsock", "xds", "passthrough"}
    return target if scheme in known else f"dns:///{target}"


def service_config(config: ClientConfig) -> str:
    """The gRPC service config (JSON): round robin, health checking and the retry policy.

    Source: https://github.com/grpc/grpc/blob/master/doc/service_config.md
    """
    document: dict[str, Any] = {"loadBalancingConfig": [{"round_robin": {}}]}
    if config.health_service is not None:
        document["healthCheckConfig"] = {"serviceName": config.health_service}
    if config.retry.attempts > 1:
        policy = {
            "maxAttempts": config.retry.attempts,
            "initialBackoff": f"{config.retry.initial_s:g}s",
            "maxBackoff": f"{config.retry.max_s:g}s",
            "backoffMultiplier": config.retry.multiplier,
            "retryableStatusCodes": ["UNAVAILABLE"],
        }
        names = [{"service": service, "method": method} for service in _PUBLIC for method in IDEMPOTENT[service]]
        document["methodConfig"] = [{"name": names, "retryPolicy": policy}]
    return json.dumps(document)


def options(config: ClientConfig) -> list[tuple[str, Any]]:
    """Channel arguments for a config."""
    chosen: list[tuple[str, Any]] = [
        ("grpc.max_send_message_length", config.max_message_bytes),
        ("grpc.max_receive_message_length", config.max_message_bytes),
        # gRPC gives up retrying a call above 256 KB unless told otherwise, and cubes are larger than that.
        ("grpc.per_rpc_retry_buffer_size", config.max_message_bytes),
        ("grpc.enable_retries", int(config.retry.attempts > 1)),
        ("grpc.service_config", service_config(config)),
        ("grpc.service_config_disable_resolution", 1),
        ("grpc.keepalive_time_ms", int(config.keepalive_s * 1000)),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.initial_reconnect_backoff_ms", 200),
        ("grpc.max_reconnect_backoff_ms", 5_000),
        # One client, one set of connections: closing a client closes them.
        ("grpc.use_local_subchannel_pool", 1),
    ]
    if config.tls is not None and config.tls.server_name:
        chosen.append(("grpc.ssl_target_name_override", config.tls.server_name))
    return chosen


def credentials(config: ClientConfig) -> grpc.ChannelCredentials | None:
    """TLS credentials from the config's files as they are now, or None for plain text.

    Raises:
        OSError: A file cannot be read.
        ValueError: Certificate and private key do not belong together.
    """
    tls = config.tls
    if tls is None:
        return None
    check_files(tls.root, tls.cert, tls.key)
    root, key, cert = (path.read_bytes() if path else None for path in (tls.root, tls.key, tls.cert))
    return grpc.ssl_channel_credentials(root, key, cert)


def open_channel(config: ClientConfig) -> grpc.Channel:
    """A blocking channel. Certificate files that change are taken up by the calls that follow."""
    target, chosen, files = target_of(config.target), options(config), _files(config)
    if config.tls is None:
        return grpc.insecure_channel(target, options=chosen)
    if not files:
        return grpc.secure_channel(target, grpc.ssl_channel_credentials(), options=chosen)

    def connect() -> grpc.Channel:
        secure = credentials(config)
        assert secure is not None
        return grpc.secure_channel(target, secure, options=chosen)

    return ReloadingChannel(connect, files)


def open_aio_channel(config: ClientConfig) -> grpc.aio.Channel:
    """An asyncio channel; call it where a loop runs. As `open_channel` otherwise."""
    target, chosen, files = target_of(config.target), options(config), _files(config)
    if config.tls is None:
        return grpc.aio.insecure_channel(target, options=chosen)
    if not files:
        return grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(), options=chosen)

    def connect() -> grpc.aio.Channel:
        secure = credentials(config)
        assert secure is not None
        return grpc.aio.secure_channel(target, secure, options=chosen)

    return ReloadingAioChannel(connect, files)


def _files(config: ClientConfig) -> list[Path]:
    tls = config.tls
    return [path for path in (tls.root, tls.cert, tls.key) if path is not None] if tls else []
