"""Channels of the client: targets and options; the same for the sync and the async client."""

from __future__ import annotations

import logging

import grpc
import grpc.aio

from swath.api import PUBLIC
from swath.client.config import ClientConfig, TlsConfig
from swath.client.errors import UnavailableError
from swath.rpc.addresses import parse_address
from swath.rpc.channels import Option, channel_options
from swath.rpc.proxies import NO_PROXY, is_local
from swath.rpc.reloading import ReloadingAioChannel, ReloadingChannel
from swath.rpc.tls import Material, channel_credentials, watch_tls

# What a client logs is for programs that ask for it; by default Python would print warnings.
logging.getLogger("swath").addHandler(logging.NullHandler())

_SCHEMES = {"dns", "unix", "unix-abstract", "ipv4", "ipv6", "vsock", "xds", "passthrough"}


def target_of(target: str) -> str:
    """Give a plain HOST:PORT the ``dns:///`` scheme, so that all addresses of a name are used.

    Raises:
        ValueError: It is none, such as an IPv6 address without brackets.
    """
    scheme = target.split(":", 1)[0]
    if scheme in _SCHEMES:
        return target
    # gRPC takes a name without a port too.
    return f"dns:///{parse_address(target)}" if ":" in target else f"dns:///{target}"


def options(config: ClientConfig) -> list[Option]:
    """Channel arguments for a config."""
    chosen = channel_options(
        max_message_bytes=config.max_message_bytes,
        max_metadata_bytes=config.max_metadata_bytes,
        retry=config.retry.rule(UnavailableError, attempts=config.retry.attempts),
        retried=PUBLIC,
        health_service=config.health_service,
        keepalive_s=config.keepalive_s,
        keepalive_timeout_s=10.0,
        reconnect_s=(0.2, 5.0),
        server_name=config.tls.server_name if config.tls is not None else None,
    )
    return [*chosen, NO_PROXY] if is_local(config.target) else chosen


def open_channel(config: ClientConfig) -> grpc.Channel:
    """A blocking channel. Certificate files that change are taken up by the calls that follow.

    Raises:
        OSError: A file cannot be read.
        ValueError: A file is no PEM, or certificate and private key do not belong together.
    """
    target, chosen = target_of(config.target), options(config)
    if config.tls is None:
        return grpc.insecure_channel(target, options=chosen)
    if not _has_files(config.tls):
        return grpc.secure_channel(target, grpc.ssl_channel_credentials(), options=chosen)

    def connect(material: Material) -> grpc.Channel:
        return grpc.secure_channel(target, channel_credentials(material), options=chosen)

    return ReloadingChannel(watch_tls(config.tls.cert, config.tls.key, config.tls.root), connect)


def open_aio_channel(config: ClientConfig) -> grpc.aio.Channel:
    """An asyncio channel; call it where a loop runs. As `open_channel` otherwise."""
    target, chosen = target_of(config.target), options(config)
    if config.tls is None:
        return grpc.aio.insecure_channel(target, options=chosen)
    if not _has_files(config.tls):
        return grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(), options=chosen)

    def connect(material: Material) -> grpc.aio.Channel:
        return grpc.aio.secure_channel(target, channel_credentials(material), options=chosen)

    return ReloadingAioChannel(watch_tls(config.tls.cert, config.tls.key, config.tls.root), connect)


def _has_files(tls: TlsConfig) -> bool:
    return any(path is not None for path in (tls.root, tls.cert, tls.key))
