"""How a client reaches a server: one frozen object, no hidden state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from swath.rpc.metadata import model_metadata

if TYPE_CHECKING:
    from swath.retry import Retry

MIB = 1024 * 1024
DEFAULT_TARGET = "localhost:50051"


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsConfig:
    """Files for an encrypted connection; all PEM. Files that change are taken up while a client runs.

    Attributes:
        root: Certificates of the authorities that the server's certificate must lead to; None takes the system's.
        cert: The client's own certificate chain, for mutual TLS.
        key: The private key that belongs to `cert`.
        server_name: Name expected in the server's certificate where it differs from the target's host.
    """

    root: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    server_name: str | None = None

    def __post_init__(self) -> None:
        if (self.cert is None) != (self.key is None):
            raise ValueError("mutual TLS needs both files: cert and key")


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryConfig:
    """When a call that failed with UNAVAILABLE is made again.

    Only calls that may safely be repeated are (see `swath.api.IDEMPOTENT`); a Train stream goes on where it
    broke off instead of being repeated.

    Attributes:
        attempts: Tries in all, the first included; 1 switches retries off. gRPC allows 5 at most.
        initial_s: Pause before the second try, in seconds; each pause is `multiplier` times the one before.
        max_s: Longest pause, in seconds.
        multiplier: Growth of the pause.
        attach_s: How long a broken Train stream tries to find its run again, in seconds.
    """

    attempts: int = 5
    initial_s: float = 0.2
    max_s: float = 5.0
    multiplier: float = 3.0
    attach_s: float = 60.0

    def __post_init__(self) -> None:
        if not 1 <= self.attempts <= 5:
            raise ValueError(f"attempts must be 1 to 5, got {self.attempts}")
        if min(self.initial_s, self.max_s, self.multiplier) <= 0:
            raise ValueError("initial_s, max_s and multiplier must be positive")

    def rule(self, on: type[Exception], *, attempts: int | None = None, timeout_s: float | None = None) -> Retry:
        """As a rule of `swath.retry`, for loops of the client's own.

        Args:
            on: Errors that are retried. Seconds in their `retry_after_s` replace the pause.
            attempts: Tries in all; None sets no limit.
            timeout_s: Seconds after which no other try begins; None sets no limit.
        """
        # Imported here: `swath --help` need not wait for it.
        from swath.retry import Retry

        return Retry(
            on=on,
            initial_s=self.initial_s,
            max_s=self.max_s,
            multiplier=self.multiplier,
            jitter=0.0,
            attempts=attempts,
            timeout_s=timeout_s,
            delay_of=lambda error: getattr(error, "retry_after_s", None),
        )

    def pause_s(self, failures: int) -> float:
        """Seconds to wait after so many failures in a row (1, 2, ...)."""
        return min(self.max_s, self.initial_s * self.multiplier ** (failures - 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientConfig:
    """Everything that a client needs to know about its server.

    Attributes:
        target: HOST:PORT, or any gRPC target (``dns:///...``, ``unix:...``). A plain HOST:PORT is resolved by DNS to
            all of its addresses and calls go round them.
        tls: Encryption; None for plain text.
        retry: When calls are made again.
        max_message_bytes: Largest message either way; the server has a limit of its own.
        max_metadata_bytes: Most metadata of an answer, in bytes; what a call may carry is up to the server.
        token: Sent as ``authorization: Bearer <token>`` with each call; a function is asked for it at each call, for
            tokens that expire.
        timeout_s: Deadline of each unary call in seconds; None for none.
        keepalive_s: Interval of pings on an idle connection that has calls open, in seconds.
        health_service: Service name whose health decides which addresses get calls; "" is the whole suite, None
            switches health checking off.
        metadata: Further metadata sent with each call.
        shared_memory: Whether large tensors of Inference calls go through shared memory where the server is on this
            machine, runs as the same user and makes some; elsewhere they go in messages.
    """

    target: str = DEFAULT_TARGET
    tls: TlsConfig | None = None
    retry: RetryConfig = field(default_factory=RetryConfig)
    max_message_bytes: int = 300 * MIB
    max_metadata_bytes: int = 32 * 1024
    token: str | Callable[[], str] | None = field(default=None, repr=False)
    timeout_s: float | None = None
    keepalive_s: float = 30.0
    health_service: str | None = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    shared_memory: bool = False

    def __post_init__(self) -> None:
        if not self.target:
            raise ValueError("target must name a server, such as localhost:50051")
        if not 0 < self.max_message_bytes < 2**31:
            raise ValueError(f"max_message_bytes must be 1 to 2147483647, got {self.max_message_bytes}")

    @classmethod
    def of(cls, config: ClientConfig | str | None) -> ClientConfig:
        """Take a config as it is, or make one from a target."""
        if config is None:
            return cls()
        return cls(target=config) if isinstance(config, str) else config

    def with_(self, **changes: object) -> ClientConfig:
        """A copy with some fields changed."""
        return replace(self, **changes)  # type: ignore[arg-type]

    def longest_entry(self) -> int:
        """Bytes of the longest name and value of `call_metadata`."""
        return max((len(name) + len(value) for name, value in self.call_metadata()), default=0)

    def call_metadata(self, model: str = "") -> list[tuple[str, str]]:
        """Metadata that goes with each call.

        Args:
            model: The published model that the call is for, if it is for one: gateways may go by it.
        """
        pairs = [*self.metadata.items(), *model_metadata(model)]
        token = self.token() if callable(self.token) else self.token
        if token:
            pairs.append(("authorization", f"Bearer {token}"))
        return pairs
