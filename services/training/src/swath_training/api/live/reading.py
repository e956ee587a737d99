"""Runs as clients list and follow them."""

from __future__ import annotations

import difflib
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import aclosing

from swath.errors import InvalidInput, NotFound
from swath.rpc.caller import caller
from swath.sessions.ownership import is_callers
from swath_training.api.streams import Following, Streams
from swath_training.runs.database.rows import no_run
from swath_training.runs.database.store import RunStore
from swath_training.runs.model import LoggedEvent, Run, RunCheckpoint, RunCommand, RunFile, RunState

_PAGE = 100
_LARGEST_PAGE = 1_000
_ID_LENGTH = 36
_NEAR = 200
_LARGEST_NUMBER = 2**31 - 1


class Reading:
    """Reads runs of the caller's.

    Args:
        store: Runs on disk.
        streams: Follows them.
    """

    def __init__(self, store: RunStore, streams: Streams) -> None:
        self._store = store
        self._streams = streams

    async def own(self, run_id: str) -> Run:
        """Return a run of the caller's by its id, or by the first characters of it where they name one run.

        Raises:
            RunNotFound: The caller has no such run; the message has the nearest.
            InvalidInput: The characters name several.
        """
        if len(run_id) < _ID_LENGTH and run_id:
            owner = _owner()
            found = await self._store.named(run_id, owner)
            if len(found) > 1:
                raise InvalidInput(f"several runs begin with '{run_id}': give more characters of the id")
            if not found:
                known = await self._store.named("", owner, _NEAR)
                near = difflib.get_close_matches(run_id, [each[: len(run_id)] for each in known], 1)
                error = no_run(run_id)
                hint = f"; did you mean '{near[0]}'?" if near else ""
                raise type(error)(f"{error.message}{hint}", metadata=error.metadata)
            run_id = found[0]
        run = await self._store.get(run_id)
        if not is_callers(run.owner):
            raise no_run(run_id)
        return run

    async def runs(
        self,
        *,
        experiments: Collection[str] = (),
        sessions: Collection[str] = (),
        states: Collection[RunState] = (),
        names: Collection[str] = (),
        page_size: int = 0,
        page_token: str = "",
    ) -> tuple[list[Run], str]:
        """Return some runs of the caller's, newest first, and a token for those after them (empty at the end).

        Raises:
            InvalidInput: The token is none, or the size is negative.
        """
        if page_size < 0:
            raise InvalidInput(f"page_size must be 0 or more, got {page_size}")
        if page_token and not page_token.isdecimal():
            raise InvalidInput(f"page_token is none of this method's answers: '{page_token[:40]}'")
        limit = min(page_size or _PAGE, _LARGEST_PAGE)
        found = await self._store.listed(
            _owner(),
            experiments=experiments,
            sessions=sessions,
            states=states,
            names=names,
            before=min(int(page_token), _LARGEST_NUMBER) if page_token else None,
            limit=limit + 1,
        )
        page = found[:limit]
        return [run for _, run in page], str(page[-1][0]) if len(found) > limit else ""

    async def attach(self, run_id: str, after_seq: int, *, follow: bool) -> AsyncGenerator[LoggedEvent]:
        """Yield events of a run after one, and those to come if wanted; the run counts as followed meanwhile.

        Raises:
            SwathError: The run failed; or the server goes away first (Unavailable).
        """
        run = await self.own(run_id)
        if not follow:
            seq = after_seq
            while events := await self._store.events(run.id, seq):
                for event in events:
                    yield event
                seq = events[-1].seq
            return
        following: Following = self._streams.open(run, after_seq)
        async with following, aclosing(following.events()) as events_to_come:
            async for event in events_to_come:
                yield event

    async def commands(self, run_id: str, after: int) -> list[RunCommand]:
        """Return commands of a run after a number."""
        return await self._store.commands.after((await self.own(run_id)).id, after)

    async def evaluation(self, run_id: str, number: int) -> RunCommand:
        """Return an evaluation of a run: that of a number, or the last one for 0.

        Raises:
            NotFound: There is none.
        """
        run = await self.own(run_id)
        found = await self._store.commands.evaluation(run.id, number)
        if found is None:
            which = f"evaluation of number {number}" if number else "evaluation yet"
            raise NotFound(f"run {run.id} has no {which}", metadata={"run": run.id})
        return found

    async def checkpoints(self, run_id: str) -> list[RunCheckpoint]:
        """Return the checkpoints of a run, oldest first."""
        return await self._store.files.checkpoints((await self.own(run_id)).id)

    async def files(self, run_id: str, after: int, kinds: Sequence[str]) -> list[RunFile]:
        """Return files of a run after a number."""
        return await self._store.files.files((await self.own(run_id)).id, after, kinds)


def _owner() -> str | None:
    """Return whose runs the caller sees; None for all, where nobody is asked who calls."""
    who = caller()
    return None if who is None else who.name
