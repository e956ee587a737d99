"""A gRPC server of applications."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any, Literal, Protocol

import grpc
from google.protobuf import descriptor_pool

from swath.errors import InvalidInput, Unavailable
from swath.health.v1 import health_pb2
from swath.rpc.addresses import Address
from swath.rpc.metadata import Metadata
from swath.rpc.server.binding import listen, server_options
from swath.rpc.server.calls import Admit, Calls
from swath.rpc.server.in_flight import InFlight
from swath.rpc.server.methods import Methods, whole_handler
from swath.rpc.server.reactor import make_server
from swath.rpc.server.reflection import changing_reflection_handlers
from swath.rpc.tls import TlsSettings, tls_files
from swath.rpc.tracing import CallTraces
from swath.serve.exchange import Applications
from swath.serve.front.about import RAY_SERVE, ApplicationHealth, RayServeAPI
from swath.serve.front.calls import ApplicationCalls
from swath.serve.front.refusals import UnknownMethods
from swath.serve.front.requests import identify
from swath.serve.front.services import Service, ServicerFunction, read_services

if TYPE_CHECKING:  # a server without a port for them needs no Prometheus
    from swath.rpc.server.metrics import Metrics

_HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
_LAST_ANSWERS_S = 0.5
"""Time for responses on their way out, and for the last health status to reach watchers."""


class FrontOptions(TlsSettings, Protocol):
    """How a front listens and limits; `swath.serve.config.gRPCOptions` has all of it."""

    @property
    def host(self) -> str:
        """Address to listen on, or `unix:PATH`."""
        ...

    @property
    def port(self) -> int:
        """Port to listen on; 0 takes a free one."""
        ...

    @property
    def grpc_servicer_functions(self) -> Sequence[str | ServicerFunction]:
        """Import paths of what adds users' servicers."""
        ...

    @property
    def request_timeout_s(self) -> float | None:
        """Seconds that every call has, end to end; None for all it wants."""
        ...

    @property
    def enable_reflection(self) -> bool:
        """Whether clients may ask what services there are."""
        ...

    @property
    def client_certificates(self) -> Literal["required", "ignored"]:
        """Whether clients that connect by TLS must show a certificate of `tls_ca`."""
        ...

    @property
    def max_message_bytes(self) -> int:
        """Largest message either way."""
        ...

    @property
    def max_metadata_bytes(self) -> int:
        """Most metadata of a call."""
        ...

    @property
    def metrics_port(self) -> int:
        """Port for Prometheus; 0 has none."""
        ...

    @property
    def slow_call_s(self) -> float:
        """Unary calls that take longer leave a warning in the log."""
        ...

    @property
    def access_log(self) -> bool:
        """Whether each call leaves a line in the log."""
        ...

    @property
    def drain_lag_s(self) -> float:
        """Time for which calls are still taken when health already says no."""
        ...


class Front:
    """Users' services at one address, and what the server says of itself.

    Args:
        applications: Who answers.
        options: How to listen.
        services: What is served at the begin; `publish` changes it.
        metrics: Where figures are published, if they are.

    Attributes:
        health: Health of the applications.
        address: Where it listens, once it does.
    """

    def __init__(
        self,
        applications: Applications,
        options: FrontOptions,
        services: Iterable[Service] = (),
        metrics: Metrics | None = None,
    ) -> None:
        self._applications = applications
        self._options = options
        self._stopping = False
        self._in_flight = InFlight()
        self._metrics = metrics
        self._calls = ApplicationCalls(applications, timeout_s=options.request_timeout_s)
        self._calls.publish(services)
        if metrics is not None:
            self.tell(metrics)
        self._api = RayServeAPI(applications, self._draining)
        self.health = ApplicationHealth(applications, self._draining)
        self._unwatch: Callable[[], None] = lambda: None
        self._server: grpc.aio.Server | None = None
        self.address = Address.of(options.host, options.port)

    def publish(self, services: Iterable[Service]) -> None:
        """Serve these services from now on, and no others: also by reflection. Calls that run go on."""
        self._calls.publish(services)

    def tell(self, metrics: Metrics) -> None:
        """Publish figures of applications and their deployments; once."""
        from swath.serve.front.metrics import ApplicationMetrics, DeploymentMetrics

        self._calls.metrics = ApplicationMetrics(metrics.registry)
        DeploymentMetrics(metrics.registry, self._applications.loads)

    def handlers(self) -> grpc.GenericRpcHandler:
        """Return the users' methods for another server's `Calls`, as what comes later."""
        return self._calls

    def api(self) -> Methods:
        """Return the methods of Ray Serve's own service, for another server: anybody may call them."""
        return self._api.methods()

    def names(self) -> tuple[str, ...]:
        """Return the full names of the services that reflection lists beside itself."""
        return (*(service.name for service in self._calls.services), RAY_SERVE.full_name, _HEALTH)

    def pools(self) -> Iterable[Any]:
        """Return the descriptor pools that hold the users' services and Ray's."""
        return chain((service.pool for service in self._calls.services), (RAY_SERVE.file.pool, _DEFAULT))

    async def start(self) -> None:
        """Listen and answer; `address` then says where.

        Raises:
            InvalidInput: TLS files cannot be used.
            Unavailable: The address is taken or not to be had.
        """
        options, address = self._options, self.address
        tls = tls_files(options)
        if tls is not None and options.tls_ca is None and options.client_certificates == "required":
            raise InvalidInput('tls_cert needs tls_ca too, or client_certificates="ignored": who connects shows one')
        standard = [whole_handler(_HEALTH, self.health.servicer)]
        if options.enable_reflection:
            standard += changing_reflection_handlers(self.names, self.pools)
        server = make_server(server_options(options.max_message_bytes, options.max_metadata_bytes))
        server.add_generic_rpc_handlers(
            (
                Calls(
                    (),
                    later=(self._calls,),
                    standard=(self._api.methods(), *standard),
                    fallback=UnknownMethods(),
                    slow_s=options.slow_call_s,
                    in_flight=self._in_flight,
                    max_metadata_bytes=options.max_metadata_bytes,
                    metrics=None if self._metrics is None else self._metrics.calls,
                    traces=CallTraces(),
                    access=_Identified(),
                    log_all=options.access_log,
                ),
            )
        )
        required = options.client_certificates == "required"
        self.address = listen(server, address, tls, certificates=required, setting="port in grpc_options")
        if self._metrics is not None and options.metrics_port:
            self._metrics.serve(address.at(options.metrics_port))
        self._unwatch = self._applications.watch(self.health.servicer.publish)
        await server.start()
        self._server = server

    async def stop(self, grace_s: float = 20.0) -> None:
        """Stop without a failed call: health says no, then no new calls are taken and those that run end.

        Args:
            grace_s: Time that running calls have.
        """
        if self._server is None:
            return
        server, self._server = self._server, None
        self._stopping = True
        self.health.servicer.publish()
        await asyncio.sleep(self._options.drain_lag_s)
        self._in_flight.close()
        await self._in_flight.empty(grace_s)
        self.health.servicer.end_watches()
        self._unwatch()
        await server.stop(_LAST_ANSWERS_S)
        if self._metrics is not None:
            self._metrics.stop()

    def _draining(self) -> bool:
        return self._stopping or self._applications.draining()


_DEFAULT = descriptor_pool.Default()


class _Identified:
    """Has every call's trailers begin with its request's id: also those of a call that is refused on its way."""

    def admission(self, method: str) -> Admit | None:
        async def admit(context: grpc.aio.ServicerContext, metadata: Metadata) -> None:
            identify(context)

        return admit


async def serve(applications: Applications, options: FrontOptions, services: Iterable[Service] | None = None) -> Front:
    """Start a server of applications.

    Args:
        applications: Who answers.
        options: How to listen.
        services: What is served; what `grpc_servicer_functions` say if not given.

    Raises:
        InvalidInput: A servicer function or the TLS files cannot be used. Nothing was started.
        Unavailable: The address is taken or not to be had.
    """
    if services is None:
        services = await asyncio.to_thread(read_services, options.grpc_servicer_functions)
    metrics = _metrics() if options.metrics_port else None
    front = Front(applications, options, services, metrics)
    try:
        await front.start()
    except Unavailable:
        if metrics is not None:
            metrics.stop()
        raise
    return front


def _metrics() -> Metrics:
    from swath.rpc.server.metrics import Metrics

    return Metrics()
