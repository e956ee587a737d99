"""What Swath is to reach, as ratios to what was measured in the same run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.serving.results import Results

PEERS = ("kserve", "mlserver", "ray", "triton", "cuvis-ai-core")


@dataclass(frozen=True)
class Target:
    """One figure and its limit.

    Attributes:
        title: What it is.
        value: Works it out; None where a part was not measured.
        limit: The limit.
        at_least: Whether the figure is not to be below it, rather than not above.
        unit: Of the figure.
    """

    title: str
    value: Callable[[Results], float | None]
    limit: float
    at_least: bool = False
    unit: str = "x"

    def met(self, value: float) -> bool:
        """Whether a figure is within the limit."""
        return value >= self.limit if self.at_least else value <= self.limit

    @property
    def text(self) -> str:
        """The limit in words."""
        return f"{'>=' if self.at_least else '<='} {self.limit:g} {self.unit}".replace(" x", "x")


def ratio(part: float | None, whole: float | None) -> float | None:
    """Return a ratio, None where either is not known."""
    return None if part is None or not whole else part / whole


def over_floor(results: Results, work: str, floor: str) -> float | None:
    """Return Swath's median time over that of an echo of the same bytes plus the bare forward."""
    echo, forward = results.get(work, floor, "p50_ms"), results.forwards.get(work)
    if echo is None or forward is None:
        return None
    return ratio(results.get(work, "swath", "p50_ms"), echo + forward * 1e3)


def _against(work: str, other: str, name: str) -> Callable[[Results], float | None]:
    return lambda results: ratio(results.get(work, "swath", name), results.get(work, other, name))


def _over(work: str, floor: str) -> Callable[[Results], float | None]:
    return lambda results: over_floor(results, work, floor)


def _extra(name: str) -> Callable[[Results], float | None]:
    def value(results: Results) -> float | None:
        found = results.extras.get(name)
        return None if isinstance(found, str) else found

    return value


def _server(name: str) -> Callable[[Results], float | None]:
    return lambda results: results.servers.get("swath", {}).get(name)


def _fastest(work: str, side: str = "swath") -> Callable[[Results], float | None]:
    """Swath's requests per second over those of the fastest peer."""

    def value(results: Results) -> float | None:
        rates = [rate for peer in PEERS if (rate := results.get(work, peer, "rate")) is not None]
        return ratio(results.get(work, side, "rate"), max(rates, default=None))

    return value


def _peers(works: dict[str, str]) -> tuple[Target, ...]:
    return tuple(
        Target(f"{title}{door}: rate over the fastest peer's", _fastest(work, side), 1, True)
        for side, door in (("swath", ""), ("swath-oip", ", Open Inference Protocol"))
        for work, title in works.items()
    )


TARGETS = (
    Target("tiny, concurrency 1: p50 over the aio echo's", _against("tiny@1", "echo-aio", "p50_ms"), 1.3),
    Target("tiny, concurrency 64: rate over the aio echo's", _against("tiny@64", "echo-aio", "rate"), 0.7, True),
    Target("tiny, concurrency 64: server CPU per call", lambda r: r.get("tiny@64", "swath", "cpu_ms"), 0.27, unit="ms"),
    Target("RX 7.6 MB: p50 over aio echo and forward", _over("rx@1", "echo-aio"), 1.15),
    Target("RX, concurrency 4: rate over KServe's", _against("rx@4", "kserve", "rate"), 1.4, True),
    Target("64 MiB in: p50 over tuned echo and forward", _over("small-out@1", "echo-tuned"), 1.1),
    Target("64 MiB in and out: p50 over tuned echo and forward", _over("in-out@1", "echo-tuned"), 1.1),
    Target(
        "64 MiB by shared memory: p50 over the unary call's",
        lambda r: ratio(r.get("shared@1", "swath", "p50_ms"), r.get("small-out@1", "swath", "p50_ms")),
        0.1,
    ),
    Target("64 MiB in chunks: p50 over the unary call's", _extra("chunked over unary"), 0.55),
    Target("MLP, concurrency 64: rate over unbatched", _against("mlp@64", "swath-unbatched", "rate"), 3, True),
    Target("MLP, concurrency 64: p50 over unbatched", _against("mlp@64", "swath-unbatched", "p50_ms"), 1),
    Target("tiny, concurrency 64: rate over unbatched", _against("tiny@64", "swath-unbatched", "rate"), 0.97, True),
    Target("100 idle streams: threads more", _extra("threads of idle streams"), 0, unit="threads"),
    Target("100 idle streams: memory more", _extra("memory of idle streams, MB"), 5, unit="MB"),
    Target("64 MiB in: peak memory over the request's size", _server("peak_ratio"), 3),
    Target("tiny through the gateway with mTLS: p50 more", _extra("gateway adds, ms"), 0.6, unit="ms"),
    Target("ready", _server("ready_s"), 5, unit="s"),
    Target("idle CPU", _server("idle_percent"), 0.5, unit="%"),
    *_peers(
        {
            "tiny@1": "tiny, concurrency 1",
            "tiny@64": "tiny, concurrency 64",
            "mlp@64": "MLP, concurrency 64",
            "rx@1": "RX, concurrency 1",
            "rx@4": "RX, concurrency 4",
            "small-out@1": "64 MiB in",
            "in-out@1": "64 MiB in and out",
            "shared@1": "64 MiB by shared memory",
        }
    ),
)
