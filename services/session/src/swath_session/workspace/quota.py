"""Bytes that an identity may have in the workspace."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol, TypeVar

import structlog

from swath.errors import FileMissing, SwathError, WorkspaceQuota
from swath_session.workspace.model import Catalogue, UploadHeader, Uploads
from swath_session.workspace.usage import LEASE_S, Claim, FileUsage, Usage

T = TypeVar("T")

_log = structlog.get_logger("swath.session")

_STEP = 64 << 20
_RENEW_S = LEASE_S / 4
_RECOUNT_S = 30.0
_AT_ONCE = 8


class Threads(Protocol):
    """Runs blocking work in a thread."""

    async def __call__(self, work: Callable[..., T], *arguments: Any, **options: Any) -> T:
        """Return what it returns."""
        ...


class Room(Protocol):
    """The room of one upload."""

    async def take(self, size: int) -> None:
        """Make sure of the room for what has just come.

        Args:
            size: Bytes of the file so far.

        Raises:
            WorkspaceQuota: Too much.
        """
        ...

    async def confirm(self, size: int) -> None:
        """Make sure of the room once more, just before the file takes its place.

        Raises:
            WorkspaceQuota: Too much: this process had lost what was reserved.
        """
        ...

    async def settle(self, size: int) -> None:
        """Count the file, which is there."""
        ...

    async def release(self, kept: int) -> None:
        """Count what is kept of an upload that was cut, bytes, and nothing else."""
        ...


class _Endless:
    """The room where there is no quota."""

    async def take(self, size: int) -> None:
        pass

    async def confirm(self, size: int) -> None:
        pass

    async def settle(self, size: int) -> None:
        pass

    async def release(self, kept: int) -> None:
        pass


ENDLESS: Room = _Endless()


class Quota:
    """Decides who may put how much, and keeps the rows true.

    Args:
        usage: The rows.
        catalogue: Says what is there.
        uploads: Says what has arrived.
        run: Runs blocking work in a thread.
    """

    def __init__(self, usage: Usage, catalogue: Catalogue, uploads: Uploads, run: Threads) -> None:
        self._usage = usage
        self._catalogue = catalogue
        self._uploads = uploads
        self._run = run
        self._rooms: dict[str, _Room] = {}
        self._recounts: dict[str, float] = {}
        self._keeper: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Renew reservations from now on, and settle those of replicas that have died."""
        self._keeper = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """End, after the writes under way."""
        if self._keeper is not None:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper
        await self._usage.close()

    async def begin(self, owner: str, path: str, header: UploadHeader) -> Room:
        """Reserve the room that an upload announces.

        Raises:
            WorkspaceQuota: The owner may not have so much.
            UploadActive: The same upload is under way, and there is no room for both.
        """
        room = _Room(self, Claim(owner, path, header.sha256))
        await room.take(header.size or 0)
        self._rooms[room.claim.id] = room
        return room

    async def delete(self, path: str, *, recursive: bool) -> int:
        """Remove a file or folder as `Catalogue.delete` does, and count it no more."""
        # What is put there meanwhile has rows of its own.
        seen = await self._usage.below(await self._run(self._catalogue.name, path))
        removed = await self._run(self._catalogue.delete, path, recursive=recursive)
        await self._usage.correct(dict.fromkeys(seen))
        return removed

    async def reserve(self, claim: Claim, least: int, wanted: int) -> int:
        """As `Usage.reserve`. Before anybody is refused their files are counted anew: some may be gone."""
        try:
            return await self._usage.reserve(claim, least, wanted)
        except WorkspaceQuota:
            now = asyncio.get_running_loop().time()
            if now - self._recounts.get(claim.owner, -_RECOUNT_S) < _RECOUNT_S:
                raise
            self._recounts = {who: at for who, at in self._recounts.items() if now - at < _RECOUNT_S}
            self._recounts[claim.owner] = now
        await self._recount(claim.owner)
        return await self._usage.reserve(claim, least, wanted)

    async def settle(self, claim: Claim, size: int) -> None:
        """As `Usage.settle`."""
        # If this fails, the reservation lapses and is seen to then.
        self._rooms.pop(claim.id, None)
        await self._usage.settle(claim, size)

    async def release(self, claim: Claim, kept: int) -> None:
        """As `Usage.release`; what cannot be written now is seen to later, by some replica."""
        self._rooms.pop(claim.id, None)
        try:
            await self._usage.release(claim, kept)
        except SwathError as error:
            _log.warning("the room of an upload is given back later", path=claim.path, error=error.message)

    async def _recount(self, owner: str) -> None:
        """Look at an identity's files: by other ways than uploads they may have gone, or become larger."""
        after = ""
        while held := await self._usage.of(owner, after):
            sizes: dict[FileUsage, int | None] = {}
            for at in range(0, len(held), _AT_ONCE):
                part = held[at : at + _AT_ONCE]
                found = await asyncio.gather(*(self._run(self._size, each.path) for each in part))
                sizes.update(zip(part, found, strict=True))
            await self._usage.correct(sizes)
            after = held[-1].path

    def _size(self, path: str) -> int | None:
        try:
            entry = self._catalogue.stat(path)
        except FileMissing:
            return None
        return None if entry.folder or entry.shipped else entry.size

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(_RENEW_S)
            try:
                await self._renew()
                await self.adopt()
            except Exception as error:
                _log.warning("reservations of uploads are not kept for a while", error=str(error))

    async def _renew(self) -> None:
        rooms = list(self._rooms.values())
        if rooms:
            began = asyncio.get_running_loop().time()
            # One that another replica has settled is reserved anew before its file takes its place.
            renewed = await self._usage.renew([room.claim.id for room in rooms])
            for room in rooms:
                if room.claim.id in renewed:
                    room.renewed_at = began

    async def adopt(self) -> None:
        """See to what replicas that died have left of their uploads."""
        await self._usage.forget_kept()
        for claim, reserved in await self._usage.lapsed():
            if claim.sha256 is None:
                size, arrived = await self._run(self._size, claim.path), 0
                whole = size is not None and size <= reserved
            else:
                arrived, whole = await self._run(self._uploads.arrived, claim.path, claim.sha256)
                size = arrived
            await self._usage.adopt(claim, size=size if whole else None, kept=arrived)


class _Room:
    def __init__(self, quota: Quota, claim: Claim) -> None:
        self.claim = claim
        self.renewed_at = asyncio.get_running_loop().time()
        self._quota = quota
        self._granted = -1

    async def take(self, size: int) -> None:
        if size > self._granted:
            await self._reserve(size, size if self._granted < 0 else size + _STEP)

    async def confirm(self, size: int) -> None:
        # Nobody else has looked at it as long as it was renewed.
        if asyncio.get_running_loop().time() - self.renewed_at > LEASE_S - _RENEW_S:
            await self._reserve(size, size)

    async def settle(self, size: int) -> None:
        await self._quota.settle(self.claim, size)

    async def release(self, kept: int) -> None:
        await self._quota.release(self.claim, kept if self.claim.sha256 is not None else 0)

    async def _reserve(self, least: int, wanted: int) -> None:
        began = asyncio.get_running_loop().time()
        self._granted = await self._quota.reserve(self.claim, least, wanted)
        self.renewed_at = began
