"""Streams of frames: which pipeline each frame runs on, and what happens when the session goes."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import Protocol, Self, TypeVar

from swath.errors import Conflict, SessionNotFound, Unavailable
from swath.sessions.preconditions import no_session
from swath_inference.dataplane.models import Key, Model
from swath_inference.dataplane.streaming.ordered import Ordered

T = TypeVar("T")
R = TypeVar("R")


class Holder(Protocol):
    """Chooses the model of a call.

    Attributes:
        fresh: Whether nodes with a memory are to have forgotten what was before the call.
        alone: Whether the call is never computed with others.
    """

    fresh: bool
    alone: bool

    async def model(self, key: Key, shared: Model) -> Model:
        """Return the model to run, given the one that the session has now, which others use as well."""
        ...


class Unary:
    """A call of its own: it takes what the session has."""

    fresh = True
    alone = False

    async def model(self, key: Key, shared: Model) -> Model:
        """Return the shared model."""
        return shared


class SameThroughout:
    """Calls that are parts of one, and so must all have the same model. They are large, and gain nothing by company."""

    fresh = True
    alone = True

    def __init__(self) -> None:
        self._key: Key | None = None

    async def model(self, key: Key, shared: Model) -> Model:
        """Return the shared model.

        Raises:
            Conflict: It is not that of the first call.
        """
        self._key = self._key or key
        if key != self._key:
            raise Conflict(
                "the session got another pipeline or other weights while the cube was computed; send the cube again"
            )
        return shared


class Stream:
    """The frames of one stream. Nodes with a memory make it have an instance of the pipeline of its own.

    Args:
        load: Loads a model that nobody else gets.
        dropped: Called with such a model when it is of no more use.
    """

    def __init__(self, load: Callable[[Key], Awaitable[Model]], dropped: Callable[[Model], None]) -> None:
        self._load = load
        self._dropped = dropped
        self._key: Key | None = None
        self._own: Model | None = None
        self._results: Ordered | None = None
        self._closed: SessionNotFound | None = None
        self._stopped: Exception | None = None
        self.turns = asyncio.Lock()

    async def answers(
        self, frames: AsyncIterator[T], answer: Callable[[T], Awaitable[R]], ahead: int
    ) -> AsyncGenerator[R, None]:
        """Iterate over the answers of frames, in their order.

        Args:
            frames: As they come.
            answer: Answers one, with a `Turn` of this stream.
            ahead: Frames that are read ahead of the answer that is due.

        Raises:
            SessionNotFound: The session was closed.
        """
        self._results = Ordered(frames, answer, ahead)
        if self._closed is not None:
            self._results.end(self._closed)
        if self._stopped is not None:
            self._results.stop(self._stopped)
        async with aclosing(self._results.results()) as results:
            async for each in results:
                yield each

    async def own(self, key: Key) -> Model:
        """Return the instance of this stream; of another pipeline, or with other weights, it has a fresh memory."""
        if self._own is None or self._key != key:
            self.release()
            self._key, self._own = key, await self._load(key)
        return self._own

    def close(self, error: SessionNotFound) -> None:
        """End the answers with an error."""
        self._closed = error
        if self._results is not None:
            self._results.end(error)

    def stop(self, error: Exception) -> None:
        """Take no more frames, and end with an error after the answers that are due."""
        self._stopped = error
        if self._results is not None:
            self._results.stop(error)

    def release(self) -> None:
        """Free what only this stream has."""
        if self._own is not None:
            self._own.drop(self._dropped)
        self._key = self._own = None


class Turn:
    """The call of one frame, in an `async with` block.

    Frames get their models in the order in which they came, and run in that order where nodes have a memory.
    """

    fresh = False
    alone = False

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._mine = False

    async def __aenter__(self) -> Self:
        await self._stream.turns.acquire()
        self._mine = True
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._pass_on()

    async def model(self, key: Key, shared: Model) -> Model:
        """Return the shared model, or the stream's own where nodes have a memory."""
        if shared.pipeline.stateful:
            return await self._stream.own(key)
        self._stream.release()
        self._pass_on()
        return shared

    def _pass_on(self) -> None:
        if self._mine:
            self._mine = False
            self._stream.turns.release()


class OpenStreams:
    """Streams that are open, by whose they are: sessions, or versions of models."""

    def __init__(self) -> None:
        self._streams: dict[str, set[Stream]] = {}
        self._draining = False

    @property
    def sessions(self) -> set[str]:
        """Whose they are."""
        return set(self._streams)

    def __len__(self) -> int:
        return sum(map(len, self._streams.values()))

    @contextmanager
    def holding(self, owner: str, stream: Stream) -> Iterator[Stream]:
        """Count a stream as open within the block.

        Raises:
            Unavailable: This replica drains.
        """
        if self._draining:
            raise _goes_away()
        self._streams.setdefault(owner, set()).add(stream)
        try:
            yield stream
        finally:
            theirs = self._streams[owner]
            theirs.discard(stream)
            if not theirs:
                del self._streams[owner]
            stream.release()

    def drain(self) -> None:
        """End all streams, after the answers that are due, and open no more."""
        self._draining = True
        for stream in itertools.chain.from_iterable(self._streams.values()):
            stream.stop(_goes_away())

    def close(self, session_id: str) -> None:
        """End the streams of a session that is gone."""
        for stream in self._streams.get(session_id, ()):
            stream.close(no_session(session_id))

    def stop(self, owner: str, error: Exception) -> None:
        """End the streams of a version of a model, after the answers that are due."""
        for stream in self._streams.get(owner, ()):
            stream.stop(error)


def _goes_away() -> Unavailable:
    return Unavailable("this replica goes away; open the stream again, and another one answers")
