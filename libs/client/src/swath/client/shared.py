"""Tensors of Inference calls through shared memory, where the server is on this machine.

The server makes a region for a session and holds it as long as a stream is open. Inputs are copied into it once, and
outputs out of it once; nothing of them travels. Where the server makes none, is elsewhere or another user's, calls go
as if nobody had asked.
"""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import grpc
import numpy as np

from swath.client.config import ClientConfig
from swath.client.errors import CallError, LocalError
from swath.client.tensors import DTYPES, as_array, wire_array
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.inference.v1 import shared_memory_pb2
from swath.inference.v1.shared_memory_pb2_grpc import SharedMemoryServiceStub
from swath.rpc.shared_memory import output_metadata

_WORTH_BYTES = 64 * 1024
_ALIGNMENT = 64
_WORK_MAY_GO_ON = frozenset({"DEADLINE_EXCEEDED", "UNAVAILABLE", "CANCELLED"})
"""Codes after which a server may not have let go of a call's tensors, even where it sent them itself."""


class Place:
    """A region during one call: inputs from its start, outputs behind them.

    Args:
        name: The region's.
        memory: All of it.
    """

    def __init__(self, name: str, memory: mmap.mmap) -> None:
        self._name = name
        self._memory = memory
        self._next = 0
        self.output_bytes = 0

    def put(self, value: Any) -> pb.Tensor:
        """Copy an input into the region and return what refers to it."""
        array, code = wire_array(as_array(value))
        offset = self._next
        np.ndarray(array.shape, array.dtype, self._memory, offset)[...] = array
        self._next = _aligned(offset + array.nbytes)
        place = pb.ShmRef(name=self._name, byte_offset=offset, byte_size=array.nbytes)
        return pb.Tensor(shape=array.shape, dtype=code, shm_ref=place)  # pyright: ignore[reportArgumentType]

    def metadata(self) -> tuple[tuple[str, bytes], ...]:
        """Metadata of the call, once all inputs are put: outputs go behind them."""
        return output_metadata(self._name, self._next, len(self._memory) - self._next)

    def get(self, tensor: pb.Tensor) -> np.ndarray | None:
        """Copy an output out of the region; None for one that came in the answer."""
        self.output_bytes += _aligned(tensor.shm_ref.byte_size or len(tensor.raw_data))
        if tensor.WhichOneof("payload") != "shm_ref" or tensor.shm_ref.name != self._name:
            return None
        return np.ndarray(tensor.shape, DTYPES[tensor.dtype], self._memory, tensor.shm_ref.byte_offset).copy()


class SharedRegion:
    """A session's region, made when a call is worth it, and anew where it has become too small.

    It is made anew too after a call that ended without the server's answer, since the server may still read that call's
    inputs and write its outputs.

    Args:
        channel: To the server.
        config: Of the client.
        session_id: The session.
    """

    def __init__(self, channel: Any, config: ClientConfig, session_id: str) -> None:
        self._stub: Any = SharedMemoryServiceStub(channel)
        self._config = config
        self._session_id = session_id
        self._refused = False
        self._busy = threading.Lock()
        self._stream: Any = None
        self._name = ""
        self._memory: mmap.mmap | None = None
        # What the last call's outputs took: the next one's are likely to take as much.
        self._output_bytes = 0

    @contextmanager
    def place(self, inputs: Mapping[str, Any]) -> Iterator[Place | None]:
        """The region for the tensors of one call; None where they go in messages."""
        size = self._wanted(inputs)
        # Calls of other threads at the same time go as they are.
        if not size or not self._busy.acquire(blocking=False):
            yield None
            return
        try:
            if self._has_no(size):
                stream = self._acquire(size)
                try:
                    self._open(next(stream, None), stream)
                except grpc.RpcError as error:
                    self._judge(error)
            with self._used() as place:
                yield place
        finally:
            self._busy.release()

    @asynccontextmanager
    async def aplace(self, inputs: Mapping[str, Any]) -> AsyncIterator[Place | None]:
        """As `place`, for asyncio."""
        size = self._wanted(inputs)
        if not size or not self._busy.acquire(blocking=False):
            yield None
            return
        try:
            if self._has_no(size):
                stream = self._acquire(size)
                try:
                    answer = await stream.read()
                    self._open(answer if isinstance(answer, shared_memory_pb2.AcquireResponse) else None, stream)
                except grpc.RpcError as error:
                    self._judge(error)
            with self._used() as place:
                yield place
        finally:
            self._busy.release()

    def close(self) -> None:
        """Let the server end the region."""
        if self._stream is not None:
            self._stream.cancel()
        self._stream = self._memory = None

    def _wanted(self, inputs: Mapping[str, Any]) -> int:
        if self._refused:
            return 0
        sizes = [as_array(value).nbytes for value in inputs.values() if value is not None]
        size = sum(map(_aligned, sizes)) + self._output_bytes
        return size if size >= _WORTH_BYTES else 0

    def _has_no(self, size: int) -> bool:
        if self._memory is not None and len(self._memory) >= size and not self._ended():
            return False
        self.close()
        return True

    def _ended(self) -> bool:
        return self._stream.done() if hasattr(self._stream, "done") else not self._stream.is_active()

    def _acquire(self, size: int) -> Any:
        request = shared_memory_pb2.AcquireRequest(session_id=self._session_id, byte_size=size)
        return self._stub.Acquire(request, metadata=self._config.call_metadata())

    def _open(self, region: shared_memory_pb2.AcquireResponse | None, stream: Any) -> None:
        """Map a region; on a machine, or for a user, that cannot do so there will be no other."""
        self._stream = stream
        if region is not None and (memory := _mapped(region)) is not None:
            self._name, self._memory = region.name, memory
        else:
            self._refused = True
            self.close()

    def _judge(self, error: grpc.RpcError) -> None:
        # A server that is away, or has no room, may have some later; one that makes none never will.
        later = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)
        code: Any = getattr(error, "code", lambda: None)()
        self._refused = code not in later
        self._stream = self._memory = None

    @contextmanager
    def _used(self) -> Iterator[Place | None]:
        place = Place(self._name, self._memory) if self._memory is not None else None
        try:
            yield place
        except BaseException as error:
            if not _is_over(error):
                # What the server still writes there must not get between the tensors of the next call.
                self.close()
            raise
        if place is not None:
            self._output_bytes = place.output_bytes


def _is_over(error: BaseException) -> bool:
    """Whether the server has nothing to do any more for a call that ended so."""
    if isinstance(error, CallError):
        return error.answered and error.code not in _WORK_MAY_GO_ON
    # Raised on this side before the request left, or of an answer that has come.
    return isinstance(error, LocalError)


def _mapped(region: shared_memory_pb2.AcquireResponse) -> mmap.mmap | None:
    try:
        handle = os.open(region.path, os.O_RDWR | os.O_CLOEXEC)
        try:
            found = os.fstat(handle)
            # At the same path another machine has a file of another process.
            if (found.st_ino, found.st_size) != (region.inode, region.byte_size):
                return None
            populate = getattr(mmap, "MAP_POPULATE", 0)
            return mmap.mmap(handle, region.byte_size, flags=mmap.MAP_SHARED | populate)
        finally:
            os.close(handle)
    except OSError:
        return None


def _aligned(size: int) -> int:
    return size + -size % _ALIGNMENT
