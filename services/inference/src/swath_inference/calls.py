"""What calls of sessions and calls of published models have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from typing import TYPE_CHECKING, Generic, TypedDict, TypeVar

if TYPE_CHECKING:
    from swath_inference.dataplane.streaming.streams import Holder

H = TypeVar("H", bound=Hashable)


class CallOptions(TypedDict, total=False):
    """How a call is to be computed; see `Runner.infer` for each.

    Attributes:
        holder: Chooses the instance of the model.
        size: Bytes that reading it has to do with.
        deadline: Second of `time.monotonic` after which nobody waits for the answer.
        priority: Calls with a higher one go first.
    """

    holder: Holder | None
    size: int | None
    deadline: float | None
    priority: int


class CallsByHolder(Generic[H]):
    """Counts the calls that run for each holder of a model: what they use is let go when the last one has ended."""

    def __init__(self) -> None:
        self._calls: Counter[H] = Counter()

    def __contains__(self, holder: H) -> bool:
        """Whether calls of a holder run."""
        return holder in self._calls

    def __len__(self) -> int:
        """Return for how many holders calls run."""
        return len(self._calls)

    def enter(self, holder: H) -> None:
        """Count a call, which then has to `leave`."""
        self._calls[holder] += 1

    def leave(self, holder: H) -> bool:
        """Count a call no longer; return whether it was the last one."""
        self._calls[holder] -= 1
        if self._calls[holder]:
            return False
        del self._calls[holder]
        return True
