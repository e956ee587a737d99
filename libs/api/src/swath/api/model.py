"""What the registry is made of: gRPC services, and the Swath services that own their methods."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Literal

TRUST = "spiffe://swath/"
"""What the URI names in certificates begin with."""
USER = f"{TRUST}user/"
"""What the URI names of users begin with: they have identities, and are no process of the suite."""

Image = Literal["core", "torch"]
"""Container images, each with all of the one before it; `core` is without torch."""


@dataclass(frozen=True)
class GrpcService:
    """A gRPC service as a proto declares it.

    Attributes:
        name: Full name, such as "cuvis_ai.v1.CuvisAIService".
        proto: Its file below protos/.
        public: Whether clients may call it. A private one is for the processes that declare that they do.
        own_pool: Whether its messages are in a descriptor pool of their own, as other packages register the same names.
    """

    name: str
    proto: str
    public: bool = False
    own_pool: bool = False

    @property
    def module(self) -> str:
        """Python module of its messages."""
        module = self.proto.removesuffix(".proto").replace("/", ".")
        return f"{module if module.startswith('swath.') else f'swath.{module}'}_pb2"


@dataclass(frozen=True)
class Method:
    """A method of a gRPC service.

    Attributes:
        name: Such as "Train".
        mutating: Whether it changes something. Each call of a public one leaves an audit line.
        idempotent: Whether it may be sent twice without harm: who loses the answer sends it again.
        open: Whether anybody may call it: who calls is said in its messages, and the method finds out by itself.
    """

    name: str
    mutating: bool = False
    idempotent: bool = False
    open: bool = False


def paths(methods: Mapping[str, tuple[str, ...]]) -> frozenset[str]:
    """Return full paths of methods that are given by gRPC service."""
    return frozenset(f"/{grpc}/{method}" for grpc, names in methods.items() for method in names)


@dataclass(frozen=True)
class Slice:
    """The methods of a gRPC service that one Swath service owns."""

    grpc: GrpcService
    methods: tuple[Method, ...]

    def path(self, method: Method) -> str:
        """Return the full path of a method, such as "/cuvis_ai.v1.CuvisAIService/Train"."""
        return f"/{self.grpc.name}/{method.name}"


@dataclass(frozen=True)
class Ports:
    """Ports that a process listens on in a cluster; 0 for none.

    Attributes:
        grpc: Calls.
        health: Health alone, by gRPC in plain text.
        metrics: Prometheus, by HTTP.
        probe: Probes and Prometheus, by HTTP.
    """

    grpc: int = 0
    health: int = 0
    metrics: int = 0
    probe: int = 0


@dataclass(frozen=True)
class Process:
    """A kind of process, which has a certificate of its own.

    Attributes:
        name: Such as "gateway".
        image: Container image that it runs from.
        ports: What it listens on.
        calls: Private methods that it may call, by gRPC service.
        forwards: Public methods that it may call for who calls it, by gRPC service: it says for whom, and is believed.
        part_of: Service whose Python package it runs; without one it has a package of its own.
        extras: Extras of its distribution that its image has.
        edge: Whether clients reach the suite through it: it may call all public methods, and nothing else.
    """

    name: str
    _: KW_ONLY
    image: Image
    ports: Ports = Ports()
    calls: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    forwards: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    part_of: str = ""
    extras: tuple[str, ...] = ()
    edge: bool = False

    @property
    def package(self) -> str:
        """Name of its Python package."""
        return f"swath_{self.part_of or self.name}"

    @property
    def distribution(self) -> str:
        """Name of its Python distribution."""
        return self.package.replace("_", "-")

    @property
    def granted(self) -> frozenset[str]:
        """Full paths of the methods that it may call."""
        return paths(self.calls) | paths(self.forwards)

    @property
    def uri(self) -> str:
        """URI name in its certificate."""
        return f"{TRUST}{self.name}"

    @property
    def dns_name(self) -> str:
        """DNS name in its certificate."""
        return f"{self.name}.swath"


@dataclass(frozen=True)
class Service(Process):
    """A Swath service: a process that owns methods of gRPC services.

    Attributes:
        owns: What it answers.
        ports: What its replicas listen on.
        balancing: How the gateway chooses a replica.
        database: Whether it owns tables: it gets the database's URL, and `python -m swath_<name> migrate` runs first.
        queue: Whether replicas are added by the metric `swath_<name>_queue_length`.
        essential: Whether health's empty name needs it, as no client can begin without.
        front: Whether it answers for the whole suite: health, reflection, the refusal of unknown methods. One does.
        catch_all: Whether it answers gRPC services that are not in the registry: those that users define. One may.
        local_replicas: Replicas that `make up` starts.
        models: Whether it serves published models: where the gateway is told to, it chooses a replica by the model that
            a call names in its metadata.
    """

    _: KW_ONLY
    owns: tuple[Slice, ...]
    ports: Ports = Ports(grpc=50051, health=8081, metrics=9090)
    balancing: Literal["round_robin", "least_request"] = "round_robin"
    database: bool = False
    queue: bool = False
    essential: bool = False
    front: bool = False
    catch_all: bool = False
    local_replicas: int = 1
    models: bool = False

    @property
    def health_name(self) -> str:
        """Name that health answers to for its replicas."""
        return f"swath.{self.name}"

    @property
    def address(self) -> str:
        """Where it is unless settings say otherwise: HOST:PORT."""
        return f"{self.name}:{self.ports.grpc}"

    @property
    def calls_itself(self) -> bool:
        """Whether its replicas call one another: its name must stand for each of them."""
        return any(part.path(method) in self.granted for part in self.owns for method in part.methods)

    def methods(self, grpc: str) -> tuple[str, ...]:
        """Return the names of the methods of a gRPC service that it owns; none for an unknown one."""
        return tuple(method.name for each in self.owns if each.grpc.name == grpc for method in each.methods)
