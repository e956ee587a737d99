"""What was asked of each version, as the protocol counts it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction

from swath.inference import open_inference_pb2 as pb
from swath_inference.dataplane.models import Key
from swath_inference.published.model import Published

_NS = 1e9


class _Duration:
    """How often something was done, and how long it took."""

    __slots__ = ("count", "ns")

    def __init__(self) -> None:
        self.count: int | Fraction = 0
        self.ns = 0

    def add(self, ns: int, count: int | Fraction = 1) -> None:
        self.count += count
        self.ns += max(ns, 0)

    def message(self) -> pb.StatisticDuration:
        return pb.StatisticDuration(count=round(self.count), ns=self.ns)


class Request:
    """One request, from before it is checked until it is answered.

    Attributes:
        items: Of its batch.
    """

    __slots__ = ("_began", "_read_ns", "_together", "_waited_ns", "_write_ns", "items")

    def __init__(self) -> None:
        self._began = time.monotonic_ns()
        self._read_ns = self._write_ns = self._waited_ns = 0
        self._together = 1
        self.items = 1

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Time the block as what makes its inputs."""
        began = time.monotonic_ns()
        yield
        self._read_ns += time.monotonic_ns() - began

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Time the block as what makes its answer."""
        began = time.monotonic_ns()
        yield
        self._write_ns += time.monotonic_ns() - began

    def started(self, waited: float, together: int) -> None:
        """Note that the device begins with it.

        Args:
            waited: Seconds for which it waited.
            together: Requests that are computed with it, itself among them.
        """
        self._waited_ns = round(waited * _NS)
        self._together = together

    def add_to(self, version: VersionStatistics, *, succeeded: bool) -> None:
        """Count it."""
        total = time.monotonic_ns() - self._began
        if not succeeded:
            version.fail.add(total)
            return
        infer = total - self._waited_ns - self._read_ns - self._write_ns
        version.success.add(total)
        version.queue.add(self._waited_ns)
        version.compute_input.add(self._read_ns)
        version.compute_infer.add(infer)
        version.compute_output.add(self._write_ns)
        # Each of the requests of a run is its part of it.
        part = Fraction(1, self._together)
        version.runs += part
        version.items += self.items
        version.last_ms = time.time_ns() // 1_000_000
        batch = version.batches.setdefault(self.items * self._together, (_Duration(), _Duration(), _Duration()))
        for duration, ns in zip(batch, (self._read_ns, infer, self._write_ns), strict=True):
            duration.add(ns, part)


class VersionStatistics:
    """Counts of one version since it was loaded."""

    def __init__(self) -> None:
        self.success, self.fail, self.queue = _Duration(), _Duration(), _Duration()
        self.compute_input, self.compute_infer, self.compute_output = _Duration(), _Duration(), _Duration()
        self.items = 0
        self.runs = Fraction()
        self.last_ms = 0
        self.batches: dict[int, tuple[_Duration, _Duration, _Duration]] = {}

    @contextmanager
    def request(self) -> Iterator[Request]:
        """Count a request, however it ends."""
        request, succeeded = Request(), False
        try:
            yield request
            succeeded = True
        finally:
            request.add_to(self, succeeded=succeeded)

    def message(self, name: str, version: int) -> pb.ModelStatistics:
        """Return them as the protocol has them."""
        return pb.ModelStatistics(
            name=name,
            version=str(version),
            last_inference=self.last_ms,
            inference_count=self.items,
            execution_count=round(self.runs),
            inference_stats=pb.InferStatistics(
                success=self.success.message(),
                fail=self.fail.message(),
                queue=self.queue.message(),
                compute_input=self.compute_input.message(),
                compute_infer=self.compute_infer.message(),
                compute_output=self.compute_output.message(),
                cache_hit=pb.StatisticDuration(),
                cache_miss=pb.StatisticDuration(),
            ),
            batch_stats=[
                pb.InferBatchStatistics(
                    batch_size=size,
                    compute_input=read.message(),
                    compute_infer=infer.message(),
                    compute_output=write.message(),
                )
                for size, (read, infer, write) in sorted(self.batches.items())
            ],
        )


class Statistics:
    """Counts of all versions: those of one that is no longer published are forgotten.

    Args:
        published: Returns the versions that are.
    """

    def __init__(self, published: Callable[[], Iterable[Published]]) -> None:
        self._published = published
        self._versions: dict[tuple[str, Key], VersionStatistics] = {}

    def of(self, published: Published) -> VersionStatistics:
        """Return the counts of a version."""
        what = published.holder, published.key
        found = self._versions.get(what)
        if found is None:
            there = {(each.holder, each.key) for each in self._published()}
            self._versions = {key: kept for key, kept in self._versions.items() if key in there}
            found = self._versions[what] = VersionStatistics()
        return found

    def restart(self, published: Published) -> None:
        """Count a version anew."""
        self._versions.pop((published.holder, published.key), None)
