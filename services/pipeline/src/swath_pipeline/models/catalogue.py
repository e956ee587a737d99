"""What is published, as the services that serve it are told."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import NoReturn

from swath.errors import InvalidInput
from swath.published.model import Change, ReplicaState
from swath.rpc.watching import watch
from swath.storage.sql.notifications import Notifications
from swath_pipeline.models.store import CHANGED, ModelStore

_MAX_STATES = 100_000
_MAX_REASON = 2000
_LONGEST_S = 3600.0


class ModelCatalogue:
    """Tells of what is published, and takes note of what replicas say. Fulfils `PublishedCatalogue`.

    Args:
        store: The tables.
        notifications: Say which models are changed, at whichever replica.
    """

    def __init__(self, store: ModelStore, notifications: Notifications) -> None:
        self._store = store
        self._notifications = notifications

    async def changes(self) -> AsyncGenerator[Change, None]:
        """Yield all models, then each change, until notifications are closed."""
        async with aclosing(self._notifications.subscribe(CHANGED)) as names:
            async for name in names:
                if name is None:
                    # From here on nothing is missed, but something may have been before.
                    yield Change(await self._store.all(), complete=True)
                elif (model := await self._store.find(name)) is not None:
                    yield Change((model,))
                else:
                    yield Change(removed=(name,))

    async def watch(self, told: Callable[[Change], Awaitable[None]]) -> NoReturn:
        """Tell of all models, then of each change, until this is cancelled; see `PublishedCatalogue`.

        Args:
            told: Called in turn.
        """
        await watch("pipeline", "published models", self.changes, told)

    async def report(self, replica: str, states: Sequence[ReplicaState], for_s: float) -> None:
        """Take note of all that a replica says, in place of what it has said before.

        Args:
            replica: A name that no other process has.
            states: What it says of versions.
            for_s: Seconds after which it is forgotten, an hour at most.

        Raises:
            InvalidInput: It has no name, says too much, or is to be believed for no time.
        """
        if not replica:
            raise InvalidInput("replica: expected a name, got an empty text")
        if len(states) > _MAX_STATES:
            raise InvalidInput(f"states: expected at most {_MAX_STATES}, got {len(states)}")
        if not (math.isfinite(for_s) and for_s > 0):
            raise InvalidInput(f"for_s: expected more than 0 seconds, got {for_s:g}")
        said = {(state.name, state.version): _kept(replica, state) for state in states}
        await self._store.report(replica, list(said.values()), min(for_s, _LONGEST_S))

    async def references(self) -> set[str]:
        """Return the digests of all artifacts that versions, and what is about to be one, refer to."""
        return await self._store.digests()


def _kept(replica: str, state: ReplicaState) -> ReplicaState:
    # A database takes no NUL, and a person no more than a few lines.
    reason = state.reason.replace("\0", "")[:_MAX_REASON]
    return ReplicaState(replica, state.name, state.version, state.state, reason, state.memory_bytes)
