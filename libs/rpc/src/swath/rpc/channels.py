"""Channels to other services: all replicas, retries, keepalive, and certificates that may change meanwhile."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import grpc
import grpc.aio
import structlog

from swath.api import IDEMPOTENT
from swath.errors import InvalidInput
from swath.rpc.addresses import Address, parse_addresses
from swath.rpc.tls import Material, channel_credentials, tls_files
from swath.rpc.watched_files import Watched
from swath.runtime.settings import ConnectionSettings

_POLL_INTERVAL_S = 0.25
_STAND_S = 10.0

_RETRY = {
    "maxAttempts": 5,
    "initialBackoff": "0.05s",
    "maxBackoff": "1s",
    "backoffMultiplier": 3,
    "retryableStatusCodes": ["UNAVAILABLE"],
}

_log = structlog.get_logger("swath.channels")


def channel(
    addresses: str | Sequence[Address],
    service: str,
    settings: ConnectionSettings,
    *,
    interceptors: Sequence[grpc.aio.ClientInterceptor] = (),
    check_health: bool = True,
) -> grpc.aio.Channel:
    """Return a channel to the replicas of a service; made where an event loop runs, and to be closed.

    Calls go round the replicas that are ready, and idempotent ones (`swath.api.IDEMPOTENT`) are made again where a
    replica went away. With TLS, the service must prove to be `<service>.swath`, and certificate files that change are
    taken up without a failed call.

    Args:
        addresses: Where it is: `HOST:PORT` or `IP:PORT,IP:PORT`, as in `PeerSettings`.
        service: Its name, such as "session".
        settings: TLS files and limits of this process.
        interceptors: Of calls.
        check_health: Whether replicas are asked whether they are ready, and get calls only then.

    Raises:
        InvalidInput: The addresses or the TLS files cannot be used.
    """
    target = _target(addresses)
    options = _options(service, settings, check_health=check_health)
    files = tls_files(settings)
    if files is None:
        return grpc.aio.insecure_channel(target, options=options, interceptors=interceptors)
    if settings.tls_ca is None:
        raise InvalidInput(f"tls_ca is not set: the {service} service could not prove who it is")

    def connect(material: Material) -> grpc.aio.Channel:
        credentials = channel_credentials(material)
        return grpc.aio.secure_channel(target, credentials, options=options, interceptors=interceptors)

    return ReloadingChannel(files, connect)


def _target(addresses: str | Sequence[Address]) -> str:
    try:
        places = parse_addresses(addresses) if isinstance(addresses, str) else tuple(addresses)
    except ValueError as error:
        raise InvalidInput(str(error)) from error
    written = [
        f"[{place.host}]:{place.port}" if ":" in place.host else f"{place.host}:{place.port}" for place in places
    ]
    if len(places) == 1 and not places[0].literal:
        return f"dns:///{written[0]}"
    families = {":" in place.host for place in places}
    if len(families) != 1 or not all(place.literal for place in places):
        raise InvalidInput(f"expected one HOST:PORT, or IP:PORT of one family with commas between, got {addresses!r}")
    return f"{'ipv6' if families == {True} else 'ipv4'}:{','.join(written)}"


def _options(service: str, settings: ConnectionSettings, *, check_health: bool) -> list[tuple[str, Any]]:
    names = [{"service": name, "method": method} for name, methods in IDEMPOTENT.items() for method in methods]
    config: dict[str, Any] = {
        "loadBalancingConfig": [{"round_robin": {}}],
        "methodConfig": [{"name": names, "retryPolicy": _RETRY}],
    }
    if check_health:
        config["healthCheckConfig"] = {"serviceName": f"swath.{service}"}
    return [
        ("grpc.service_config", json.dumps(config)),
        ("grpc.service_config_disable_resolution", 1),
        ("grpc.max_send_message_length", settings.max_message_bytes),
        ("grpc.max_receive_message_length", settings.max_message_bytes),
        # By default gRPC does not make calls above 256 KB again.
        ("grpc.per_rpc_retry_buffer_size", settings.max_message_bytes),
        # A frozen or unreachable replica is found out within eight seconds; see `server_options` for its side.
        ("grpc.keepalive_time_ms", 5_000),
        ("grpc.keepalive_timeout_ms", 3_000),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.min_reconnect_backoff_ms", 1_000),
        ("grpc.max_reconnect_backoff_ms", 2_000),
        # When the last known replica goes, its successor is looked up at once; by default not for half a minute.
        ("grpc.dns_min_time_between_resolutions_ms", 1_000),
        # A channel with new certificates must not find connections of the old ones.
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.ssl_target_name_override", f"{service}.swath"),
    ]


class _Connection:
    """One channel, and how many calls go over it."""

    def __init__(self, channel: grpc.aio.Channel, material: Material) -> None:
        self.channel = channel
        self.material = material
        self.calls = 0

    def count(self, call: Any) -> None:
        self.calls += 1
        call.add_done_callback(self._ended)

    def _ended(self, call: Any) -> None:
        self.calls -= 1


class ReloadingChannel(grpc.aio.Channel):
    """A channel whose certificates may change.

    When the files change, a second channel is opened beside the first. Once it stands it gets the new calls; those in
    flight end on the one where they began, which is closed after them.

    Args:
        files: The TLS files.
        connect: Makes a channel of what they say.
    """

    def __init__(self, files: Watched[Material], connect: Callable[[Material], grpc.aio.Channel]) -> None:
        self._files = files
        self._connect = connect
        material = files.get()
        self._connection = _Connection(connect(material), material)
        self._old: list[_Connection] = []
        self._follower = asyncio.create_task(self._follow())

    async def __aenter__(self) -> ReloadingChannel:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self, grace: float | None = None) -> None:
        """Close the channel; see `grpc.aio.Channel`."""
        self._follower.cancel()
        with suppress(asyncio.CancelledError):
            await self._follower
        old, self._old = self._old, []
        await asyncio.gather(*(connection.channel.close(grace) for connection in (self._connection, *old)))

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """Return the state of the channel that new calls take."""
        return self._connection.channel.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Wait until the state is another one."""
        while self.get_state() is last_observed_state:
            # Not longer at once: another channel may take the place of this one.
            with suppress(TimeoutError):
                await asyncio.wait_for(
                    self._connection.channel.wait_for_state_change(last_observed_state), _POLL_INTERVAL_S
                )

    async def channel_ready(self) -> None:
        """Wait until the channel is ready."""
        while (state := self.get_state(try_to_connect=True)) is not grpc.ChannelConnectivity.READY:
            await self.wait_for_state_change(state)

    def unary_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """As `grpc.aio.Channel`."""
        return _Method(self, lambda channel: channel.unary_unary(method, *args, **kwargs))

    def unary_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """As `grpc.aio.Channel`."""
        return _Method(self, lambda channel: channel.unary_stream(method, *args, **kwargs))

    def stream_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """As `grpc.aio.Channel`."""
        return _Method(self, lambda channel: channel.stream_unary(method, *args, **kwargs))

    def stream_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """As `grpc.aio.Channel`."""
        return _Method(self, lambda channel: channel.stream_stream(method, *args, **kwargs))

    @property
    def connection(self) -> _Connection:
        """What new calls take."""
        return self._connection

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(_POLL_INTERVAL_S)
            try:
                await self._close_idle()
                material = self._files.get()
                if material is not self._connection.material:
                    await self._move(material)
            except Exception:
                _log.exception("changed TLS files could not be taken up; trying again")

    async def _move(self, material: Material) -> None:
        new = _Connection(self._connect(material), material)
        try:
            async with asyncio.timeout(_STAND_S):
                await new.channel.channel_ready()
        except TimeoutError:
            if self.get_state() is grpc.ChannelConnectivity.READY:
                _log.warning("no connection stands with the changed TLS files; the old one goes on for now")
                await new.channel.close()
                return
            # Neither does: nobody is there, and the new files are more likely to be right when somebody is.
        except BaseException:
            await new.channel.close()
            raise
        self._old.append(self._connection)
        self._connection = new

    async def _close_idle(self) -> None:
        # Not as soon as the last call ends: its answer may not have been taken over yet.
        for connection in [each for each in self._old if not each.calls]:
            self._old.remove(connection)
            await connection.channel.close()


class _Method:
    """A method of whichever channel takes calls now."""

    def __init__(self, channel: ReloadingChannel, make: Callable[[grpc.aio.Channel], Any]) -> None:
        self._channel = channel
        self._make = make
        self._connection: _Connection | None = None
        self._call: Any = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        connection = self._channel.connection
        if connection is not self._connection:
            self._connection, self._call = connection, self._make(connection.channel)
        call = self._call(*args, **kwargs)
        connection.count(call)
        return call
