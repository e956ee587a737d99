"""The tables that follow from a registry's entries."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType

from swath.api.model import GrpcService, Method, Process, Service, paths

_NAME = re.compile(r"[a-z][a-z0-9]*")


@dataclass(frozen=True)
class Registry:
    """All services of the suite, and every table that follows from them.

    Attributes:
        services: Each service.
        processes: Kinds of process that are no service.

    Raises:
        ValueError: The entries contradict one another.
    """

    services: tuple[Service, ...]
    processes: tuple[Process, ...] = ()

    def __post_init__(self) -> None:
        if problems := list(_problems(self)):
            raise ValueError("; ".join(problems))

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the services."""
        return tuple(each.name for each in self.services)

    @cached_property
    def identities(self) -> tuple[str, ...]:
        """Names that certificates are issued for, beside those of users: services and other processes."""
        return (*self.names, *(each.name for each in self.processes))

    @cached_property
    def front(self) -> str:
        """The service that answers for the whole suite."""
        return next(each.name for each in self.services if each.front)

    @cached_property
    def catch_all(self) -> str:
        """The service that gets calls of methods that nobody owns: the front, unless another one says that it does."""
        return next((each.name for each in self.services if each.catch_all), self.front)

    @cached_property
    def essential(self) -> tuple[str, ...]:
        """Services without which no client can begin."""
        return tuple(each.name for each in self.services if each.essential)

    @cached_property
    def local_replicas(self) -> Mapping[str, int]:
        """How many replicas of each service `make up` starts, by its name."""
        return MappingProxyType({each.name: each.local_replicas for each in self.services})

    @cached_property
    def grpc_services(self) -> tuple[GrpcService, ...]:
        """Each gRPC service, public or private."""
        return tuple(dict.fromkeys(part.grpc for each in self.services for part in each.owns))

    @cached_property
    def public(self) -> tuple[str, ...]:
        """Full names of the gRPC services that clients may call."""
        return tuple(each.name for each in self.grpc_services if each.public)

    @cached_property
    def private(self) -> tuple[str, ...]:
        """Full names of the gRPC services that only processes of the suite may call."""
        return tuple(each.name for each in self.grpc_services if not each.public)

    @cached_property
    def routes(self) -> Mapping[str, str]:
        """Full path of each public method, such as "/cuvis_ai.v1.CuvisAIService/Train", to its service's name."""
        return MappingProxyType({path: service.name for service, path, _ in self._methods(public=True)})

    @cached_property
    def methods(self) -> frozenset[str]:
        """Full paths of all methods, public or private."""
        return frozenset(path for public in (True, False) for _, path, _ in self._methods(public=public))

    @cached_property
    def mutating(self) -> frozenset[str]:
        """Full paths of the public methods that change something."""
        return frozenset(path for _, path, method in self._methods(public=True) if method.mutating)

    @cached_property
    def open(self) -> frozenset[str]:
        """Full paths of the public methods that find out by themselves who calls."""
        return frozenset(path for _, path, method in self._methods(public=True) if method.open)

    @cached_property
    def idempotent(self) -> Mapping[str, tuple[str, ...]]:
        """Methods that may be sent twice without harm, by each gRPC service, public or private."""
        found: dict[str, tuple[str, ...]] = {}
        for service in self.services:
            for part in service.owns:
                names = tuple(method.name for method in part.methods if method.idempotent)
                found[part.grpc.name] = found.get(part.grpc.name, ()) + names
        return MappingProxyType(found)

    @cached_property
    def grants(self) -> Mapping[str, frozenset[str]]:
        """Full paths of the methods that each process may call, by its name; what is not here is refused."""
        found = {each.name: frozenset(self.routes) for each in self.processes if each.edge}
        for each in (*self.services, *self.processes):
            if each.granted:
                found[each.name] = found.get(each.name, frozenset()) | each.granted
        return MappingProxyType(found)

    @cached_property
    def forwarders(self) -> frozenset[str]:
        """Processes that call public methods for others, and say for whom: they are believed."""
        return frozenset(name for name, granted in self.grants.items() if granted & self.routes.keys())

    def service(self, name: str) -> Service:
        """Return a service by its name.

        Raises:
            LookupError: There is none.
        """
        for each in self.services:
            if each.name == name:
                return each
        raise LookupError(f"no service is called {name!r}; there are {', '.join(self.names)}")

    def process(self, name: str) -> Process:
        """Return a process that is no service by its name.

        Raises:
            LookupError: There is none.
        """
        for each in self.processes:
            if each.name == name:
                return each
        raise LookupError(f"no process is called {name!r}; there are {', '.join(each.name for each in self.processes)}")

    def owner(self, path: str) -> str | None:
        """Return the service that owns a public method by its full path, None if nobody does."""
        return self.routes.get(path)

    def owners(self, grpc: str) -> tuple[str, ...]:
        """Return the services that own part of a gRPC service; none for an unknown one."""
        return tuple(each.name for each in self.services if each.methods(grpc))

    def callees(self, name: str) -> tuple[str, ...]:
        """Return the services that a process calls: for what it is granted, and the front and the edge for health."""
        if any(each.edge for each in self.processes if each.name == name):
            return self.names
        granted = self.grants.get(name, frozenset())
        return tuple(
            each.name
            for each in self.services
            if (name == self.front and name != each.name)
            or any(part.path(method) in granted for part in each.owns for method in part.methods)
        )

    def _methods(self, *, public: bool) -> Iterator[tuple[Service, str, Method]]:
        for service in self.services:
            for part in service.owns:
                if part.grpc.public is public:
                    yield from ((service, part.path(method), method) for method in part.methods)


def _problems(registry: Registry) -> Iterator[str]:
    names = registry.identities
    yield from (f"{name!r} is declared twice" for name, count in Counter(names).items() if count > 1)
    yield from (f"a name is {_NAME.pattern}, got {name!r}" for name in names if not _NAME.fullmatch(name))
    if sum(each.front for each in registry.services) != 1:
        yield "expected one service with front=True"
    if sum(each.catch_all for each in registry.services) > 1:
        yield "expected at most one service with catch_all=True"
    declared = Counter(each.name for each in registry.grpc_services)
    yield from (f"{name} is declared in two ways" for name, count in declared.items() if count > 1)
    public, private = ([path for _, path, _ in registry._methods(public=each)] for each in (True, False))
    yield from (f"{path} has two owners" for path, count in Counter((*public, *private)).items() if count > 1)
    everyone = (*registry.services, *registry.processes)
    called = [(each.name, path) for each in everyone for path in paths(each.calls)]
    yield from (f"{name} calls {path}, which is no private method" for name, path in called if path not in private)
    forwarded = [(each.name, path) for each in everyone for path in paths(each.forwards)]
    yield from (f"{name} forwards {path}, which is no public method" for name, path in forwarded if path not in public)
    yield from (f"{path} is private, and nothing calls it" for path in {*private} - {path for _, path in called})
