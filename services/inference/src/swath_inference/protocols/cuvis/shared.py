"""Which shared memory a call may refer to, and what its references stand for."""

from __future__ import annotations

import grpc

from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.errors import FileMissing, Precondition
from swath.rpc.shared_memory import output_place
from swath_inference.protocols.cuvis.tensors import ReadShared, refuse
from swath_inference.shm.regions import OutputPlace, Regions
from swath_inference.shm.segments import read_segment

_LOCAL_PEERS = ("unix:", "ipv4:127.", "ipv6:[::1]", "ipv6:%5B::1%5D")


def is_local(context: grpc.aio.ServicerContext) -> bool:
    """Return whether a call comes from this machine."""
    return context.peer().startswith(_LOCAL_PEERS)


class SharedMemory:
    """Shared memory of this machine, for calls that come from it.

    Args:
        regions: Made by this server; they are read and written in place.
        local: Whether clients on this machine may refer to it at all. Behind a gateway every call comes from the
            gateway's machine, and its client may be anywhere.
        behind_gateway: Whether clients behind a gateway may refer to segments all the same: those that share this
            machine's, under the session's own name.
        free: Whether clients may name any segment, as where nobody is asked who calls; otherwise only those under the
            session's own name.
    """

    def __init__(
        self,
        regions: Regions | None = None,
        *,
        local: bool = True,
        behind_gateway: bool = False,
        free: bool = False,
    ) -> None:
        self.regions = Regions(0, 0, 1.0) if regions is None else regions
        self.local = local
        self._behind_gateway = behind_gateway
        self._free = free

    def reader(self, session_id: str, context: grpc.aio.ServicerContext) -> ReadShared:
        """Return what reads the references of a call.

        Regions are read in place. Segments are copied: a client can shrink them, and a server that had mapped them
        would end with SIGBUS.
        """
        if not self.local and not self._behind_gateway:
            return refuse
        # Now: it is read on a thread, and whoever asks a call that is over for its peer takes the process down.
        here = self._behind_gateway or is_local(context)

        def read(reference: pb.ShmRef, name: str) -> memoryview:
            if not here:
                return refuse(reference, name)
            offset, size = reference.byte_offset, reference.byte_size
            region = self.regions.find(reference.name, session_id)
            if region is not None:
                return region.part(offset, size, name=name)
            prefix = f"swath-{session_id}"
            own = reference.name.removeprefix("/").startswith(prefix)
            try:
                return read_segment(reference.name, offset, size, name=name, prefix=None if self._free else prefix)
            except FileMissing as error:
                if own:
                    raise
                raise Precondition(
                    f"{error.message}; shared memory segments that this session need not share have names that begin "
                    f"with {prefix!r}"
                ) from error

        return read

    def output_place(self, session_id: str, context: grpc.aio.ServicerContext) -> OutputPlace | None:
        """Return where a call wants its outputs; None where it wants them in the answer.

        Raises:
            Precondition: The call may use no shared memory, or the region is another session's.
            FileMissing: There is no such region.
            InputInvalid: The place lies outside of it.
        """
        if not len(self.regions):
            return None
        place = output_place(context.invocation_metadata() or ())
        if place is None:
            return None
        if not is_local(context):
            refuse(place, "outputs")
        region = self.regions.find(place.name, session_id)
        if region is None:
            raise FileMissing(f"outputs: there is no region {place.name!r} of shared memory")
        return OutputPlace(region, place.byte_offset, place.byte_size)
