"""redhare.Inference, translated."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import grpc

from swath.errors import InvalidInput, ModelNotFound, Unauthenticated, Unavailable
from swath.redhare import stream_pb2 as pb
from swath.rpc.caller import Caller, set_caller
from swath.rpc.server.failures import forget_frames
from swath.rpc.server.methods import in_bytes
from swath_inference.dataplane.request import Batch
from swath_inference.dataplane.streaming.ordered import Ordered
from swath_inference.protocols.redhare.addresses import Reachable
from swath_inference.protocols.redhare.answers import write_error, write_result
from swath_inference.protocols.redhare.logins import Logins
from swath_inference.protocols.redhare.records import Record
from swath_inference.protocols.redhare.tokens import Grant
from swath_inference.protocols.sendable import refusing, sendable

if TYPE_CHECKING:
    from swath_inference.published.model import Published


class Run(Protocol):
    """Computes a batch of a version of a model."""

    async def __call__(
        self,
        published: Published,
        read: Callable[[], Batch],
        only: Sequence[str],
        write: Callable[[dict[str, Any]], bytes],
        unknown: Callable[[Sequence[str]], None],
        *,
        size: int,
    ) -> bytes:
        """Return what `write` makes of the outputs; the arguments are those of the data plane."""
        ...


class RedhareServicer:
    """Tokens for users, and streams of records.

    Args:
        logins: Says who may call which model.
        run: Computes a batch of a version of a model.
        reachable: Says where to open a stream.
        ahead: Records of a stream that are read ahead of the answer that is due.
        record_bytes: Most bytes of a record; those read ahead have four times as many, together.
    """

    def __init__(self, logins: Logins, run: Run, reachable: Reachable, *, ahead: int, record_bytes: int) -> None:
        self._logins = logins
        self._run = run
        self._reachable = reachable
        self._ahead = ahead
        self._record_bytes = record_bytes
        self._open: set[Ordered] = set()
        self._draining = False

    def __len__(self) -> int:
        """Return how many streams are open."""
        return len(self._open)

    async def auth(self, request: pb.AuthRequest, context: grpc.aio.ServicerContext) -> pb.AuthResponse:
        metadata, peer = context.invocation_metadata() or (), context.peer()
        token = await self._logins.login(request.attributes, self._reachable.client(metadata, peer))
        return pb.AuthResponse(url=self._reachable.told(metadata, peer), token=token)

    @in_bytes(pb.Request.FromString)
    async def stream_infer(
        self, requests: AsyncIterator[pb.Request], context: grpc.aio.ServicerContext
    ) -> AsyncIterator[bytes]:
        first = await anext(requests, None)
        if first is None or first.WhichOneof("request_oneof") != "token":
            raise Unauthenticated("the first message of a stream must hold the token that auth has returned")
        stream = _Stream(self._logins, first.token, 4 * self._record_bytes)

        async def answer(data: bytes) -> tuple[bytes, int]:
            return await self._answer(data, stream.grant), len(data)

        async with aclosing(stream.records(requests)) as records:
            with self._counted(Ordered(records, answer, self._ahead)) as ordered:
                async with aclosing(ordered.results()) as answers:
                    async for each, size in answers:
                        yield each
                        stream.release(size)

    def drain(self) -> None:
        """End all streams, after the answers that are due, and open no more."""
        self._draining = True
        for ordered in self._open:
            ordered.stop(_goes_away())

    async def _answer(self, data: bytes, grant: Grant) -> bytes:
        record = Record(len(data))
        try:
            record.parse(data, self._record_bytes)
            published = self._logins.find(grant.model, grant.user)

            def read() -> dict[str, Any]:
                return record.batch(published)

            def write(outputs: dict[str, Any]) -> bytes:
                return write_result(record.key, published.version, sendable(outputs, record.outputs))

            return await self._run(published, read, record.outputs, write, refusing(record.outputs), size=record.size)
        except ModelNotFound:
            # Of no record: the stream's model is gone.
            raise
        except Exception as error:
            told = write_error(record.key, error)
            # They hold the record's tensors, in a circle that only a garbage collection would end.
            forget_frames(error)
            return told

    @contextmanager
    def _counted(self, ordered: Ordered) -> Iterator[Ordered]:
        if self._draining:
            raise _goes_away()
        self._open.add(ordered)
        try:
            yield ordered
        finally:
            self._open.discard(ordered)


class _Stream:
    """What a stream may do, and the records that it has sent.

    Args:
        logins: Reads tokens.
        token: The first one.
        limit: Bytes of records that are held at a time; a single one may have more.

    Raises:
        Unauthenticated: The token is no good one.
        ModelNotFound: There is no such model any more, or not for this user.

    Attributes:
        grant: What its last token permits.
    """

    def __init__(self, logins: Logins, token: str, limit: int) -> None:
        self._logins = logins
        self._limit = limit
        self._held = 0
        self._room = asyncio.Event()
        self.grant = logins.grant(token)
        logins.find(self.grant.model, self.grant.user)
        if self.grant.user:
            set_caller(Caller(self.grant.user, "password"))

    async def records(self, requests: AsyncIterator[pb.Request]) -> AsyncGenerator[bytes, None]:
        """Iterate over the records; what renews the token comes between them.

        Raises:
            Unauthenticated: The token is good no longer, or one that should renew it is another's.
            InvalidInput: A message holds neither.
        """
        async for request in requests:
            match request.WhichOneof("request_oneof"):
                case "token":
                    self._renew(request.token)
                case "data":
                    self._logins.check(self.grant)
                    await self._acquire(len(request.data))
                    yield request.data
                case _:
                    raise InvalidInput("a message of a stream must hold 'data', or 'token' to renew it; got nothing")

    def release(self, size: int) -> None:
        """Take a record as answered."""
        self._held -= size
        self._room.set()

    def _renew(self, token: str) -> None:
        grant = self._logins.grant(token)
        if (grant.user, grant.model) != (self.grant.user, self.grant.model):
            raise Unauthenticated("the token is another user's than the one before, or for another model")
        self.grant = grant

    async def _acquire(self, size: int) -> None:
        while self._held and self._held + size > self._limit:
            self._room.clear()
            await self._room.wait()
        self._held += size


def _goes_away() -> Unavailable:
    return Unavailable("this replica goes away; open the stream again, and another one answers")
