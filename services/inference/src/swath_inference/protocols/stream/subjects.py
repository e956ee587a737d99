"""What a stream runs: the pipeline of a session, or a version of a published model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from swath.errors import InvalidInput, ModelNotFound, NotFound, SessionNotFound
from swath.published.names import shown
from swath.rpc.caller import caller
from swath_inference.dataplane.request import Batch
from swath_inference.dataplane.streaming.streams import Holder, SameThroughout, Stream
from swath_inference.published.calls import ModelCalls
from swath_inference.published.model import Published

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from swath.engine.graph.structure.parts import Parts
    from swath.inference.v1 import inference_pb2 as pb
    from swath_inference.service import InferenceService

Unknown = Callable[[Sequence[str]], None]
Read = Callable[[], Batch]
Write = Callable[[dict[str, Any]], Any]


class Subject(Protocol):
    """What a stream runs.

    Attributes:
        version: Of the model; 0 where it is a session's.
    """

    version: int

    def stream(self) -> AbstractAsyncContextManager[Stream]:
        """Open a stream of frames."""
        ...

    async def frame(
        self, read: Read, only: Sequence[str], write: Write, unknown: Unknown, *, holder: Holder, size: int
    ) -> Any:
        """Run it over a frame; arguments as of `Runner.infer`."""
        ...

    def whole(self) -> AbstractContextManager[None]:
        """Take the parts of a cube within the block for one call."""
        ...

    async def part(
        self, read: Read, only: Sequence[str], write: Write, unknown: Unknown, *, holder: Holder, size: int
    ) -> Any:
        """Run it over a part of a cube."""
        ...

    async def parts_of(self, only: Sequence[str], unknown: Unknown, calls: SameThroughout) -> Parts:
        """Return what parts of a cube have to do with one another."""
        ...


def subject_of(first: pb.Open | pb.CubeHeader, service: InferenceService, calls: ModelCalls) -> Subject:
    """Return what the first message of a stream names.

    Raises:
        InvalidInput: It names neither a session nor a model, or both, or a version of no model.
        ModelNotFound: There is no such model or version, or not for the caller.
        Unavailable: It is not known yet what is published.
    """
    if not first.model:
        if first.version:
            raise InvalidInput(f"version {shown(first.version)} is of no model: name that as well")
        return _OfSession(service, first.session_id)
    if first.session_id:
        raise InvalidInput(
            f"session {shown(first.session_id)} and model {shown(first.model)} are both named: leave one of them out"
        )
    who = caller()
    name = None if who is None else who.name
    return _OfModel(calls, calls.models.find(first.model, first.version, name), name)


def ends_stream(error: Exception) -> bool:
    """Whether an error of a frame says that no other one can be computed: what the stream runs is gone."""
    gone = (SessionNotFound.reason, ModelNotFound.reason)
    return isinstance(error, NotFound) and error.reason in gone


class _OfSession:
    version = 0

    def __init__(self, service: InferenceService, session_id: str) -> None:
        self._service = service
        self._session_id = session_id

    def stream(self) -> AbstractAsyncContextManager[Stream]:
        return self._service.stream(self._session_id)

    async def frame(
        self, read: Read, only: Sequence[str], write: Write, unknown: Unknown, *, holder: Holder, size: int
    ) -> Any:
        return await self._service.infer(self._session_id, read, only, write, unknown, holder=holder, size=size)

    part = frame

    @contextmanager
    def whole(self) -> Iterator[None]:
        yield

    async def parts_of(self, only: Sequence[str], unknown: Unknown, calls: SameThroughout) -> Parts:
        return await self._service.parts_of(self._session_id, only, unknown, calls)


class _OfModel:
    def __init__(self, calls: ModelCalls, published: Published, who: str | None) -> None:
        self._calls = calls
        self._published = published
        self._who = who
        self.version = published.version

    @asynccontextmanager
    async def stream(self) -> AsyncIterator[Stream]:
        with self._calls.stream(self._published) as stream:
            yield stream

    async def frame(
        self, read: Read, only: Sequence[str], write: Write, unknown: Unknown, *, holder: Holder, size: int
    ) -> Any:
        # Anew for each: it may have been taken back, or from the caller.
        found = self._calls.models.find(self._published.name, str(self.version), self._who)
        return await self._calls.infer(found, read, only, write, unknown, holder=holder, size=size)

    @contextmanager
    def whole(self) -> Iterator[None]:
        with self._calls.using(self._published), self._calls.counted(self._published):
            yield

    async def part(
        self, read: Read, only: Sequence[str], write: Write, unknown: Unknown, *, holder: Holder, size: int
    ) -> Any:
        return await self._calls.infer_part(self._published, read, only, write, unknown, holder=holder, size=size)

    async def parts_of(self, only: Sequence[str], unknown: Unknown, calls: SameThroughout) -> Parts:
        return await self._calls.parts_of(self._published, only, unknown)
