"""Which versions of a model answer, and in what shares."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate

from swath.published.model import STABLE, Model, Share, State

UNNAMED = ""
"""Stands for the versions of calls that name none."""

Shares = tuple[Share, ...]


class Route:
    """Versions, and the shares of calls that go to them.

    Args:
        shares: At least one.

    Attributes:
        shares: As given.
    """

    def __init__(self, shares: Shares) -> None:
        self.shares = shares
        *self._ends, self._total = accumulate(share.percent for share in shares)
        self._versions = [share.version for share in shares]

    def pick(self) -> int:
        """Return the version of a call, drawn anew for each."""
        if not self._ends:
            return self._versions[0]
        # `random` is below 1, but its product with the total may round up to it.
        return self._versions[bisect_right(self._ends, random.random() * self._total)]


def wanted(model: Model) -> dict[str, Shares]:
    """Return where calls of a model should go, by what they may name: an alias, or `UNNAMED`."""
    routes = {alias.name: alias.targets for alias in model.aliases}
    newest = (Share(model.versions[-1].number, 100.0),) if model.versions else ()
    routes[UNNAMED] = routes.get(STABLE, newest)
    return routes


def before(model: Model) -> dict[str, Shares]:
    """Return where aliases pointed before, likewise."""
    routes = {alias.name: alias.previous for alias in model.aliases}
    routes[UNNAMED] = routes.get(STABLE, ())
    return routes


def in_force(model: Model, state: Callable[[int], State], now: Mapping[str, Route]) -> Iterator[tuple[str, Route]]:
    """Iterate over the routes by which calls of a model go.

    A version that could not be loaded here takes no calls as long as others can: those which an alias goes to at the
    moment, or else pointed at before. Where a model is pinned, nor does one that is not loaded yet.

    Args:
        model: As it is from now on.
        state: How far this replica is with a version.
        now: Routes up to now.
    """
    takes = {State.READY} if model.pinned else {State.READY, State.KNOWN, State.LOADING}
    there = {version.number for version in model.versions}
    earlier = before(model)
    for name, targets in wanted(model).items():
        current = now[name].shares if name in now else ()
        choices = [left for each in (targets, current, earlier.get(name, ())) if (left := _those(each, there))]
        if not choices:
            continue
        able = (each for each in choices if takes.issuperset(state(share.version) for share in each))
        yield name, Route(next(able, choices[0]))


def _those(shares: Iterable[Share], there: set[int]) -> Shares:
    return tuple(share for share in shares if share.version in there)
