"""What identities use of the workspace: whose upload each file is, and bytes reserved for uploads under way.

Bytes are reserved before they are taken, where one replica writes at a time: uploads at several replicas do not exceed
a quota together. A reservation outlives its upload until it is committed or released: by the replica that took the
upload or, if that has died, by another one that looks at what has become of the file.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, Connection, Executable, RowMapping, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from swath.errors import UploadActive, WorkspaceQuota
from swath.storage.sql.engine import GroupWriter, now, run
from swath_session.settings import SessionSettings
from swath_session.tables import HOLDINGS, UPLOADS

LEASE_S = 20.0
"""Seconds that a reservation lasts without being renewed before other replicas look at what has become of it."""

_AT_ONCE = 500
_h, _u = HOLDINGS.c, UPLOADS.c


@dataclass(frozen=True, slots=True)
class Reservation:
    """Bytes that are reserved for an upload.

    Attributes:
        owner: Identity that they count for.
        path: File that the upload becomes, from the workspace's root.
        sha256: Digest of the file, if the upload can be resumed.
        id: Its own.
    """

    owner: str
    path: str
    sha256: str | None
    id: str = field(default_factory=lambda: secrets.token_hex(16))


@dataclass(frozen=True, slots=True)
class FileUsage:
    """A file that counts for an identity, as its row was when it was read."""

    path: str
    bytes: int
    stamp: str


class Usage:
    """Rows of files and reservations. A quota counts both: of a file that is being replaced the larger one.

    Args:
        engine: The session service's database.
        limit: Bytes that an identity may use.
        keep_s: Seconds for which what has arrived of a cut upload is kept.
        clock: The present, Unix time in seconds, as an expression.
    """

    def __init__(
        self, engine: AsyncEngine, limit: int, keep_s: float, *, clock: ColumnElement[float] | None = None
    ) -> None:
        self._engine = engine
        self._writer = GroupWriter(engine)
        self._limit = limit
        self._keep_s = keep_s
        self._clock = now() if clock is None else clock

    async def close(self) -> None:
        """Wait for writes under way."""
        await self._writer.close()

    async def reserve(self, upload: Reservation, least: int, wanted: int | None = None) -> int:
        """Reserve bytes for the whole of an upload in place of those reserved before; return how many.

        What was kept of the same upload when it was cut counts as part of it.

        Args:
            upload: The upload.
            least: Bytes that are needed.
            wanted: Bytes to reserve where the quota allows; `least` if not given.

        Raises:
            WorkspaceQuota: The owner uses too much; what was reserved before still is.
            UploadActive: The quota will do once the same upload, under way in another call, has ended.
        """

        def work(connection: Connection) -> tuple[int, int | None, bool]:
            present, same = self._present(connection, upload)
            left = self._limit - present
            if least > left:
                return present, None, least <= left + same
            granted = max(least, min(wanted or least, left))
            again = (_u.owner == upload.owner) & (_u.path == upload.path) & (_u.sha256 == upload.sha256) & _u.kept
            connection.execute(delete(UPLOADS).where(or_(_u.id == upload.id, again)))
            values = {
                "id": upload.id,
                "owner": upload.owner,
                "path": upload.path,
                "sha256": upload.sha256,
            }
            fresh = self._clock + LEASE_S
            connection.execute(insert(UPLOADS).values(**values, bytes=granted, kept=False, until=fresh))
            return present, granted, False

        present, granted, twice = await self._writer.write(work)
        if twice:
            raise UploadActive(f"the same content is being put to {upload.path!r} by another call", retry_after=1.0)
        if granted is None:
            raise WorkspaceQuota.of(
                upload.owner,
                "bytes in the workspace, uploads under way included",
                present=present,
                limit=self._limit,
                wanted=least,
                remedy="delete files (Delete of swath.workspace.v1), then put this one again",
            )
        return granted

    async def renew(self, reservation_ids: Collection[str]) -> set[str]:
        """Renew the leases of uploads under way here; return the ids of those that are still reserved."""
        fresh = update(UPLOADS).where(_u.id.in_(reservation_ids), ~_u.kept).values(until=self._clock + LEASE_S)
        return await self._writer.write(lambda connection: set(connection.execute(fresh.returning(_u.id)).scalars()))

    async def commit(self, upload: Reservation, size: int) -> None:
        """Count the file, which is there, in place of the reservation and of what was at its path before."""
        await self._writer.write(lambda connection: _commit(connection, upload, size))

    async def release(self, upload: Reservation, kept: int = 0) -> None:
        """Release a reservation but for what is kept of the upload, bytes."""
        await self._writer.write(lambda connection: self._release(connection, upload, kept))

    # Where a replica died

    async def lapsed(self, most: int = 100) -> list[tuple[Reservation, int]]:
        """Return reservations whose lease has lapsed, and the bytes of each."""
        columns = (_u.owner, _u.path, _u.sha256, _u.id, _u.bytes)
        query = select(*columns).where(~_u.kept, _u.until < self._clock).limit(most)
        rows = await run(self._engine, lambda connection: connection.execute(query).all())
        return [(Reservation(*row[:-1]), row.bytes) for row in rows]

    async def adopt(self, upload: Reservation, *, size: int | None, kept: int) -> None:
        """Commit or release the reservation of a replica that has died; nothing happens if another one has done so.

        Args:
            upload: The upload.
            size: Bytes of its file, if that is there.
            kept: Bytes that are kept of it, if it is not.
        """
        still = select(_u.id).where(_u.id == upload.id, ~_u.kept, _u.until < self._clock)

        def work(connection: Connection) -> None:
            if connection.execute(still).first() is None:
                return
            others = select(_h.path).where(_h.path == upload.path, _h.owner != upload.owner)
            if size is not None and connection.execute(others).first() is None:
                _commit(connection, upload, size)
            else:
                self._release(connection, upload, kept)

        await self._writer.write(work)

    async def forget_kept(self) -> None:
        """Remove rows of cut uploads whose parts are kept no longer."""
        gone = delete(UPLOADS).where(_u.kept, _u.until < self._clock)
        await self._writer.write(lambda connection: connection.execute(gone))

    # Files that went, or came by other ways

    async def of(self, owner: str, after: str = "") -> list[FileUsage]:
        """Return files of an identity, a page at a time, in the database's own order.

        Args:
            owner: The identity.
            after: Path of the last file of the page before; empty to begin.
        """
        query = select(_h.path, _h.bytes, _h.stamp).where(_h.owner == owner, _h.path > after)
        query = query.order_by(_h.path).limit(_AT_ONCE)
        return await self._usage(query)

    async def below(self, path: str) -> list[FileUsage]:
        """Return the file of a path, and those below it if it is a folder, of all identities."""
        inside = f"{path}/"
        # By its first letters: LIKE of SQLite takes capitals for small letters.
        within = func.substr(_h.path, 1, len(inside)) == inside
        return await self._usage(select(_h.path, _h.bytes, _h.stamp).where(or_(_h.path == path, within)))

    async def correct(self, sizes: Mapping[FileUsage, int | None]) -> None:
        """Write the sizes that files have now, None for those that are gone; rows of later uploads stay."""
        wrong = [(file, size) for file, size in sizes.items() if size != file.bytes]
        for at in range(0, len(wrong), _AT_ONCE):
            part = wrong[at : at + _AT_ONCE]

            def work(connection: Connection, part: list[tuple[FileUsage, int | None]] = part) -> None:
                for file, size in part:
                    as_seen = (_h.path == file.path) & (_h.stamp == file.stamp)
                    if size is None:
                        connection.execute(delete(HOLDINGS).where(as_seen))
                    else:
                        connection.execute(update(HOLDINGS).where(as_seen).values(bytes=size))

            await self._writer.write(work)

    async def _usage(self, query: Executable) -> list[FileUsage]:
        rows = await run(self._engine, lambda connection: connection.execute(query).all())
        return [FileUsage(*row) for row in rows]

    def _present(self, connection: Connection, upload: Reservation) -> tuple[int, int]:
        """Return the bytes that an identity uses beside an upload, and how many of them the same upload has reserved in
        other calls."""
        mine = select(func.coalesce(func.sum(_h.bytes), 0)).where(_h.owner == upload.owner, _h.path != upload.path)
        present = int(connection.execute(mine).scalar_one())
        query = select(UPLOADS).where(
            _u.owner == upload.owner, _u.id != upload.id, or_(~_u.kept, _u.until > self._clock)
        )
        others = connection.execute(query).mappings().all()
        present += sum(row["bytes"] for row in others if row["kept"] and not _is_same(row, upload))
        coming: Counter[str] = Counter()
        for row in others:
            if not row["kept"]:
                coming[row["path"]] += row["bytes"]
        same = sum(row["bytes"] for row in others if not row["kept"] and _is_same(row, upload))
        present += coming.pop(upload.path, 0)
        replaced = select(_h.path, _h.bytes).where(_h.owner == upload.owner, _h.path.in_(list(coming)))
        for path, size in connection.execute(replaced).all():
            coming[path] = max(0, coming[path] - size)
        return present + coming.total(), same

    def _release(self, connection: Connection, upload: Reservation, kept: int) -> None:
        if not kept:
            connection.execute(delete(UPLOADS).where(_u.id == upload.id))
            return
        values = {"bytes": kept, "kept": True, "until": self._clock + self._keep_s}
        connection.execute(update(UPLOADS).where(_u.id == upload.id).values(**values))


def open_usage(engine: AsyncEngine, settings: SessionSettings) -> Usage | None:
    """Return the rows of what identities use of the workspace, None where they may use any amount."""
    return Usage(engine, settings.quota_bytes, settings.upload_keep_s) if settings.quota_bytes else None


def _is_same(row: RowMapping, upload: Reservation) -> bool:
    return upload.sha256 is not None and (row["path"], row["sha256"]) == (upload.path, upload.sha256)


def _commit(connection: Connection, upload: Reservation, size: int) -> None:
    connection.execute(delete(UPLOADS).where(_u.id == upload.id))
    connection.execute(delete(HOLDINGS).where(_h.path == upload.path))
    connection.execute(insert(HOLDINGS).values(path=upload.path, owner=upload.owner, bytes=size, stamp=upload.id))
