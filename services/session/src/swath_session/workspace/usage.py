"""What identities hold in the workspace: whose upload each file is, and room that is reserved for uploads under way.

Room is reserved before bytes are taken, where one replica writes at a time: uploads at several replicas do not exceed a
quota together. A reservation outlives its upload until it is settled: by who took the upload, or, if that replica has
died, by another one that looks at what has become of the file.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from sqlalchemy import ColumnElement, Connection, Executable, RowMapping, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from swath.errors import UploadActive, WorkspaceQuota
from swath.sessions.quotas import exceeded
from swath.storage.sql.engine import GroupWriter, now, run
from swath_session.settings import SessionSettings
from swath_session.tables import HOLDINGS, UPLOADS

LEASE_S = 20.0
"""Seconds that a reservation lasts without being renewed before other replicas look at what has become of it."""

_AT_ONCE = 500
_h, _u = HOLDINGS.c, UPLOADS.c


@dataclass(frozen=True, slots=True)
class Claim:
    """An upload that room is reserved for.

    Attributes:
        owner: Identity that it counts for.
        path: File that it becomes, from the workspace's root.
        sha256: Digest of the file if it can be gone on with.
        id: Its own.
    """

    owner: str
    path: str
    sha256: str | None
    id: str = field(default_factory=lambda: secrets.token_hex(16))


@dataclass(frozen=True, slots=True)
class FileUsage:
    """A file that counts for an identity, as a row said once."""

    path: str
    bytes: int
    stamp: str


class Usage:
    """Rows of files and reservations. A quota counts both: of a file that is being replaced the larger one.

    Args:
        engine: The session service's database.
        limit: Bytes that an identity may hold.
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

    async def reserve(self, claim: Claim, least: int, wanted: int | None = None) -> int:
        """Reserve room for the whole of an upload in place of what was reserved before; return the bytes reserved.

        What was kept of the same upload when it was cut is part of that room.

        Args:
            claim: The upload.
            least: Bytes that are needed.
            wanted: Bytes that are taken where there is room for them; `least` if not given.

        Raises:
            WorkspaceQuota: The owner holds too much; what was reserved before still is.
            UploadActive: There will be room once the same upload, under way in another call, has ended.
        """

        def work(connection: Connection) -> tuple[int, int | None, bool]:
            present, same = self._present(connection, claim)
            room = self._limit - present
            if least > room:
                return present, None, least <= room + same
            granted = max(least, min(wanted or least, room))
            again = (_u.owner == claim.owner) & (_u.path == claim.path) & (_u.sha256 == claim.sha256) & _u.kept
            connection.execute(delete(UPLOADS).where(or_(_u.id == claim.id, again)))
            values = {"id": claim.id, "owner": claim.owner, "path": claim.path, "sha256": claim.sha256}
            fresh = self._clock + LEASE_S
            connection.execute(insert(UPLOADS).values(**values, bytes=granted, kept=False, until=fresh))
            return present, granted, False

        present, granted, twice = await self._writer.write(work)
        if twice:
            raise UploadActive(f"the same content is being put to {claim.path!r} by another call", retry_after=1.0)
        if granted is None:
            raise exceeded(
                WorkspaceQuota,
                claim.owner,
                "bytes in the workspace, uploads under way included",
                present=present,
                limit=self._limit,
                wanted=least,
                remedy="delete files (Delete of swath.workspace.v1), then put this one again",
            )
        return granted

    async def renew(self, claim_ids: Collection[str]) -> set[str]:
        """Say that uploads are still under way here, and return those whose room is still reserved."""
        fresh = update(UPLOADS).where(_u.id.in_(claim_ids), ~_u.kept).values(until=self._clock + LEASE_S)
        return await self._writer.write(lambda connection: set(connection.execute(fresh.returning(_u.id)).scalars()))

    async def settle(self, claim: Claim, size: int) -> None:
        """Write down that the file is there, in place of what was at its path before."""
        await self._writer.write(lambda connection: _settle(connection, claim, size))

    async def release(self, claim: Claim, kept: int = 0) -> None:
        """Give reserved room back but for what is kept of the upload, bytes."""
        await self._writer.write(lambda connection: self._release(connection, claim, kept))

    # Where a replica died

    async def lapsed(self, most: int = 100) -> list[tuple[Claim, int]]:
        """Return uploads that nobody takes any more, and the bytes that are reserved for each."""
        columns = (_u.owner, _u.path, _u.sha256, _u.id, _u.bytes)
        query = select(*columns).where(~_u.kept, _u.until < self._clock).limit(most)
        rows = await run(self._engine, lambda connection: connection.execute(query).all())
        return [(Claim(*row[:-1]), row.bytes) for row in rows]

    async def adopt(self, claim: Claim, *, size: int | None, kept: int) -> None:
        """Settle or release an upload whose replica has died; nothing happens if somebody else has done so.

        Args:
            claim: The upload.
            size: Bytes of its file, if that is there.
            kept: Bytes that are kept of it, if it is not.
        """
        still = select(_u.id).where(_u.id == claim.id, ~_u.kept, _u.until < self._clock)

        def work(connection: Connection) -> None:
            if connection.execute(still).first() is None:
                return
            others = select(_h.path).where(_h.path == claim.path, _h.owner != claim.owner)
            if size is not None and connection.execute(others).first() is None:
                _settle(connection, claim, size)
            else:
                self._release(connection, claim, kept)

        await self._writer.write(work)

    async def forget_kept(self) -> None:
        """Forget what was kept of cut uploads for as long as it is kept."""
        gone = delete(UPLOADS).where(_u.kept, _u.until < self._clock)
        await self._writer.write(lambda connection: connection.execute(gone))

    # Files that went, or came by other ways

    async def of(self, owner: str, after: str = "") -> list[FileUsage]:
        """Return files of an identity, some at a time, in an order of the database's own.

        Args:
            owner: The identity.
            after: Path of the last one of the page before; empty to begin.
        """
        query = select(_h.path, _h.bytes, _h.stamp).where(_h.owner == owner, _h.path > after)
        query = query.order_by(_h.path).limit(_AT_ONCE)
        return await self._usage(query)

    async def below(self, path: str) -> list[FileUsage]:
        """Return the file of a path, and those below it if it is a folder, whoever's they are."""
        inside = f"{path}/"
        # By its first letters: LIKE of SQLite takes capitals for small letters.
        within = func.substr(_h.path, 1, len(inside)) == inside
        return await self._usage(select(_h.path, _h.bytes, _h.stamp).where(or_(_h.path == path, within)))

    async def correct(self, sizes: Mapping[FileUsage, int | None]) -> None:
        """Write down what files have become, bytes, None for those that are gone; rows of later uploads stay."""
        wrong = [(held, size) for held, size in sizes.items() if size != held.bytes]
        for at in range(0, len(wrong), _AT_ONCE):
            part = wrong[at : at + _AT_ONCE]

            def work(connection: Connection, part: list[tuple[FileUsage, int | None]] = part) -> None:
                for held, size in part:
                    as_seen = (_h.path == held.path) & (_h.stamp == held.stamp)
                    if size is None:
                        connection.execute(delete(HOLDINGS).where(as_seen))
                    else:
                        connection.execute(update(HOLDINGS).where(as_seen).values(bytes=size))

            await self._writer.write(work)

    async def _usage(self, query: Executable) -> list[FileUsage]:
        rows = await run(self._engine, lambda connection: connection.execute(query).all())
        return [FileUsage(*row) for row in rows]

    def _present(self, connection: Connection, claim: Claim) -> tuple[int, int]:
        """Return the bytes that an identity holds beside an upload, and how many of them the same upload has reserved
        in other calls."""
        mine = select(func.coalesce(func.sum(_h.bytes), 0)).where(_h.owner == claim.owner, _h.path != claim.path)
        present = int(connection.execute(mine).scalar_one())
        query = select(UPLOADS).where(_u.owner == claim.owner, _u.id != claim.id, or_(~_u.kept, _u.until > self._clock))
        others = connection.execute(query).mappings().all()
        present += sum(row["bytes"] for row in others if row["kept"] and not _is_same(row, claim))
        coming: Counter[str] = Counter()
        for row in others:
            if not row["kept"]:
                coming[row["path"]] += row["bytes"]
        same = sum(row["bytes"] for row in others if not row["kept"] and _is_same(row, claim))
        present += coming.pop(claim.path, 0)
        held = select(_h.path, _h.bytes).where(_h.owner == claim.owner, _h.path.in_(list(coming)))
        for path, size in connection.execute(held).all():
            coming[path] = max(0, coming[path] - size)
        return present + coming.total(), same

    def _release(self, connection: Connection, claim: Claim, kept: int) -> None:
        if not kept:
            connection.execute(delete(UPLOADS).where(_u.id == claim.id))
            return
        values = {"bytes": kept, "kept": True, "until": self._clock + self._keep_s}
        connection.execute(update(UPLOADS).where(_u.id == claim.id).values(**values))


def open_usage(engine: AsyncEngine, settings: SessionSettings) -> Usage | None:
    """Return the rows of what identities hold in the workspace, None where they may hold any amount."""
    return Usage(engine, settings.quota_bytes, settings.upload_keep_s) if settings.quota_bytes else None


def _is_same(row: RowMapping, claim: Claim) -> bool:
    return claim.sha256 is not None and (row["path"], row["sha256"]) == (claim.path, claim.sha256)


def _settle(connection: Connection, claim: Claim, size: int) -> None:
    connection.execute(delete(UPLOADS).where(_u.id == claim.id))
    connection.execute(delete(HOLDINGS).where(_h.path == claim.path))
    connection.execute(insert(HOLDINGS).values(path=claim.path, owner=claim.owner, bytes=size, stamp=claim.id))
