"""What was asked of each version, as the protocol counts it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from itertools import accumulate, pairwise

from swath.inference import open_inference_pb2 as pb
from swath_inference.dataplane.models import Key
from swath_inference.published.model import Published

_NS = 1e9


class _Duration:
    """How often something was done, and how long it took."""

    __slots__ = ("count", "ns")

    def __init__(self) -> None:
        self.count = 0
        self.ns = 0

    def add(self, ns: int) -> None:
        self.count += 1
        self.ns += max(ns, 0)

    def message(self) -> pb.StatisticDuration:
        return pb.StatisticDuration(count=self.count, ns=self.ns)


class _Batches:
    """Runs with so many items."""

    __slots__ = ("infer_ns", "read_ns", "runs", "write_ns")

    def __init__(self) -> None:
        self.runs = 0.0
        self.read_ns = self.infer_ns = self.write_ns = 0


class Request:
    """One request, from before it is checked until it is answered.

    Attributes:
        items: Of its batch.
        read_ns: Time that its inputs took to make, ns.
        write_ns: Time that its answer took to make.
    """

    __slots__ = ("_began", "_together", "_waited_ns", "items", "read_ns", "write_ns")

    def __init__(self) -> None:
        self._began = time.monotonic_ns()
        self._waited_ns = 0
        self._together = 1
        self.items = 1
        self.read_ns = self.write_ns = 0

    def started(self, waited: float, together: int) -> None:
        """Note that the device begins with it.

        Args:
            waited: Seconds for which it waited.
            together: Requests that are computed with it, itself among them.
        """
        self._waited_ns = round(waited * _NS)
        self._together = together

    def add_to(self, version: VersionStatistics, *, succeeded: bool) -> float:
        """Count it; return the seconds that it took."""
        total = time.monotonic_ns() - self._began
        if not succeeded:
            version.fail.add(total)
            return total / _NS
        infer = total - self._waited_ns - self.read_ns - self.write_ns
        version.success.add(total)
        version.queue.add(self._waited_ns)
        version.compute_input.add(self.read_ns)
        version.compute_infer.add(infer)
        version.compute_output.add(self.write_ns)
        version.items += self.items
        version.last_ms = time.time_ns() // 1_000_000
        size = self.items * self._together
        batches = version.batches.get(size)
        if batches is None:
            batches = version.batches[size] = _Batches()
        # Each of the requests of a run is its part of it.
        batches.runs += 1 / self._together
        batches.read_ns += self.read_ns
        batches.infer_ns += max(infer, 0)
        batches.write_ns += self.write_ns
        return total / _NS


class VersionStatistics:
    """Counts of one version since it was loaded."""

    def __init__(self) -> None:
        self.success, self.fail, self.queue = _Duration(), _Duration(), _Duration()
        self.compute_input, self.compute_infer, self.compute_output = _Duration(), _Duration(), _Duration()
        self.items = 0
        self.last_ms = 0
        self.batches: dict[int, _Batches] = {}

    def message(self, name: str, version: int) -> pb.ModelStatistics:
        """Return them as the protocol has them."""
        sizes = sorted(self.batches.items())
        # Requests of several sizes may have been one run: the counts are whole numbers all the same, and sum up.
        ends = [0, *map(round, accumulate(each.runs for _, each in sizes))]
        return pb.ModelStatistics(
            name=name,
            version=str(version),
            last_inference=self.last_ms,
            inference_count=self.items,
            execution_count=ends[-1],
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
                    compute_input=pb.StatisticDuration(count=end - begin, ns=each.read_ns),
                    compute_infer=pb.StatisticDuration(count=end - begin, ns=each.infer_ns),
                    compute_output=pb.StatisticDuration(count=end - begin, ns=each.write_ns),
                )
                for (size, each), (begin, end) in zip(sizes, pairwise(ends), strict=True)
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
