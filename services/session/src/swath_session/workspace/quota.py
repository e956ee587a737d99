"""Bytes that an identity may use of the workspace."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol, TypeVar

import structlog

from swath.errors import FileMissing, SwathError, WorkspaceQuota
from swath_session.workspace.model import Catalogue, UploadHeader, Uploads
from swath_session.workspace.usage import LEASE_S, FileUsage, Reservation, Usage

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


class UploadQuota(Protocol):
    """What one upload uses of its owner's quota."""

    async def reserve(self, size: int) -> None:
        """Make sure that what has arrived is reserved.

        Args:
            size: Bytes of the file so far.

        Raises:
            WorkspaceQuota: Too much.
        """
        ...

    async def confirm(self, size: int) -> None:
        """Make sure that the whole file is still reserved, just before it takes its place.

        Raises:
            WorkspaceQuota: Too much: this process had lost the reservation.
        """
        ...

    async def commit(self, size: int) -> None:
        """Count the file, which is there."""
        ...

    async def release(self, kept: int) -> None:
        """Count what is kept of an upload that was cut, bytes, and nothing else."""
        ...


class _Unlimited:
    """Where there is no quota."""

    async def reserve(self, size: int) -> None:
        pass

    async def confirm(self, size: int) -> None:
        pass

    async def commit(self, size: int) -> None:
        pass

    async def release(self, kept: int) -> None:
        pass


UNLIMITED: UploadQuota = _Unlimited()


class Quota:
    """Decides who may put how much, and keeps the rows up to date.

    Args:
        usage: The rows.
        catalogue: What files there are.
        uploads: What has arrived.
        run: Runs blocking work in a thread.
    """

    def __init__(self, usage: Usage, catalogue: Catalogue, uploads: Uploads, run: Threads) -> None:
        self._usage = usage
        self._catalogue = catalogue
        self._uploads = uploads
        self._run = run
        self._active: dict[str, _UploadQuota] = {}
        self._recounts: dict[str, float] = {}
        self._keeper: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Renew reservations from now on, and take over those of replicas that have died."""
        self._keeper = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """End, after the writes under way."""
        if self._keeper is not None:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper
        await self._usage.close()

    async def begin(self, owner: str, path: str, header: UploadHeader) -> UploadQuota:
        """Reserve what an upload announces.

        Raises:
            WorkspaceQuota: The owner may not use so much.
            UploadActive: The same upload is under way, and the quota does not allow both.
        """
        upload = _UploadQuota(self, Reservation(owner, path, header.sha256))
        await upload.reserve(header.size or 0)
        self._active[upload.reservation.id] = upload
        return upload

    async def delete(self, path: str, *, recursive: bool) -> int:
        """Remove a file or folder as `Catalogue.delete` does, and stop counting it."""
        # A file that is put there meanwhile has a row of its own.
        seen = await self._usage.below(await self._run(self._catalogue.name, path))
        removed = await self._run(self._catalogue.delete, path, recursive=recursive)
        await self._usage.correct(dict.fromkeys(seen))
        return removed

    async def reserve(self, reservation: Reservation, least: int, wanted: int) -> int:
        """As `Usage.reserve`. Before an owner is refused, its files are counted again: some may be gone."""
        try:
            return await self._usage.reserve(reservation, least, wanted)
        except WorkspaceQuota:
            now = asyncio.get_running_loop().time()
            if now - self._recounts.get(reservation.owner, -_RECOUNT_S) < _RECOUNT_S:
                raise
            self._recounts = {who: at for who, at in self._recounts.items() if now - at < _RECOUNT_S}
            self._recounts[reservation.owner] = now
        await self._recount(reservation.owner)
        return await self._usage.reserve(reservation, least, wanted)

    async def commit(self, reservation: Reservation, size: int) -> None:
        """As `Usage.commit`."""
        # If this fails, the reservation lapses and is adopted then.
        self._active.pop(reservation.id, None)
        await self._usage.commit(reservation, size)

    async def release(self, reservation: Reservation, kept: int) -> None:
        """As `Usage.release`; what cannot be written now is done later, by whichever replica."""
        self._active.pop(reservation.id, None)
        try:
            await self._usage.release(reservation, kept)
        except SwathError as error:
            _log.warning("the reservation of an upload is released later", path=reservation.path, error=error.message)

    async def _recount(self, owner: str) -> None:
        """Look at an identity's files: other tools may have removed them, or made them larger."""
        after = ""
        while files := await self._usage.of(owner, after):
            sizes: dict[FileUsage, int | None] = {}
            for at in range(0, len(files), _AT_ONCE):
                part = files[at : at + _AT_ONCE]
                found = await asyncio.gather(*(self._run(self._size, each.path) for each in part))
                sizes.update(zip(part, found, strict=True))
            await self._usage.correct(sizes)
            after = files[-1].path

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
                _log.warning("reservations of uploads are not renewed for a while", error=str(error))

    async def _renew(self) -> None:
        active = list(self._active.values())
        if active:
            began = asyncio.get_running_loop().time()
            # One that another replica has adopted is reserved anew before its file takes its place.
            renewed = await self._usage.renew([upload.reservation.id for upload in active])
            for upload in active:
                if upload.reservation.id in renewed:
                    upload.renewed_at = began

    async def adopt(self) -> None:
        """Commit or release the reservations of replicas that have died."""
        await self._usage.forget_kept()
        for reservation, reserved in await self._usage.lapsed():
            if reservation.sha256 is None:
                size, arrived = await self._run(self._size, reservation.path), 0
                whole = size is not None and size <= reserved
            else:
                arrived, whole = await self._run(self._uploads.arrived, reservation.path, reservation.sha256)
                size = arrived
            await self._usage.adopt(reservation, size=size if whole else None, kept=arrived)


class _UploadQuota:
    def __init__(self, quota: Quota, reservation: Reservation) -> None:
        self.reservation = reservation
        self.renewed_at = asyncio.get_running_loop().time()
        self._quota = quota
        self._granted = -1

    async def reserve(self, size: int) -> None:
        if size > self._granted:
            await self._reserve(size, size if self._granted < 0 else size + _STEP)

    async def confirm(self, size: int) -> None:
        # No other replica has adopted it as long as it was renewed.
        if asyncio.get_running_loop().time() - self.renewed_at > LEASE_S - _RENEW_S:
            await self._reserve(size, size)

    async def commit(self, size: int) -> None:
        await self._quota.commit(self.reservation, size)

    async def release(self, kept: int) -> None:
        await self._quota.release(self.reservation, kept if self.reservation.sha256 is not None else 0)

    async def _reserve(self, least: int, wanted: int) -> None:
        began = asyncio.get_running_loop().time()
        self._granted = await self._quota.reserve(self.reservation, least, wanted)
        self.renewed_at = began
