"""Bytes that an identity may have in the workspace."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import Float, bindparam
from sqlalchemy.ext.asyncio import AsyncEngine

from swath.errors import ContentMismatch, UploadActive, WorkspaceQuota
from swath.storage.workspace.folder import Workspace
from swath_session import SessionSettings, Usage, WorkspaceService
from swath_session.workspace.model import UploadHeader
from swath_session.workspace.usage import LEASE_S, Reservation

M = 1 << 20
LIMIT = 10 * M
DATA = os.urandom(6 * M)
SHA256 = hashlib.sha256(DATA).hexdigest()


@pytest.fixture(params=["in_folder", "in_bucket"])
def workspace(request: pytest.FixtureRequest) -> Workspace:
    """A workspace of either kind."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def usage(engine: AsyncEngine, clock: SimpleNamespace) -> Usage:
    at = bindparam("clock", callable_=lambda: clock.now, type_=Float())
    return Usage(engine, LIMIT, 3600.0, clock=at)


@pytest.fixture
async def files(
    workspace: Workspace, engine: AsyncEngine, usage: Usage, clock: SimpleNamespace
) -> AsyncIterator[WorkspaceService]:
    """The workspace with a quota."""
    service = WorkspaceService(workspace, SessionSettings(), usage)
    await service.start()
    yield service
    await service.stop()
    await engine.dispose()


async def pieces(data: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(data), M):
        yield data[at : at + M]


async def cut(data: bytes) -> AsyncIterator[bytes]:
    async for piece in pieces(data):
        yield piece
    raise asyncio.CancelledError


async def untouched() -> AsyncIterator[bytes]:
    raise AssertionError("bytes were taken of an upload that was to be refused")
    yield b""


async def put(files: WorkspaceService, path: str, size: int, owner: str = "ada") -> None:
    await files.put(UploadHeader(path, size), pieces(bytes(size)), owner)


async def left(usage: Usage, owner: str = "ada") -> int:
    """Return how many more bytes an identity may put."""
    reservation = Reservation(owner, "probe", None)
    granted = await usage.reserve(reservation, 0, 2**62)
    await usage.release(reservation)
    return granted


class TestRefusals:
    async def test_before_any_byte_where_the_size_is_announced(
        self, files: WorkspaceService, usage: Usage, side: Any
    ) -> None:
        await put(files, "a", 6 * M)
        with pytest.raises(WorkspaceQuota, match=r"ada has 6291456 of 10485760 bytes.*5242880 more.*: delete") as told:
            await files.put(UploadHeader("b", 5 * M), untouched(), "ada")
        assert told.value.reason == "WORKSPACE_QUOTA"
        assert side.names() == ["a"]
        assert await left(usage) == 4 * M

    async def test_as_soon_as_too_much_has_come_where_it_is_not(
        self, files: WorkspaceService, usage: Usage, side: Any
    ) -> None:
        await put(files, "a", 6 * M)
        with pytest.raises(WorkspaceQuota):
            await files.put(UploadHeader("b"), pieces(bytes(50 * M)), "ada")
        assert side.names() == ["a"]
        assert await left(usage) == 4 * M

    async def test_what_fits_exactly_is_taken(self, files: WorkspaceService, usage: Usage) -> None:
        await put(files, "a", LIMIT)
        assert await left(usage) == 0

    async def test_others_have_room_of_their_own(self, files: WorkspaceService) -> None:
        await put(files, "a", LIMIT)
        await put(files, "b", LIMIT, "grace")

    async def test_all_that_are_under_way_count(self, files: WorkspaceService, usage: Usage) -> None:
        puts = [put(files, f"file-{number}", 3 * M) for number in range(10)]
        ends = await asyncio.gather(*puts, return_exceptions=True)
        assert sum(end is None for end in ends) == 3
        assert await left(usage) == 1 * M


class TestCounting:
    async def test_a_file_that_is_replaced_counts_once(self, files: WorkspaceService, usage: Usage) -> None:
        await put(files, "a", 9 * M)
        await put(files, "a", 9 * M + M // 2)
        assert await left(usage) == M // 2

    async def test_it_counts_for_who_put_it_last(self, files: WorkspaceService, usage: Usage) -> None:
        await put(files, "a", 9 * M)
        await put(files, "a", 5 * M, "grace")
        assert (await left(usage), await left(usage, "grace")) == (LIMIT, 5 * M)

    async def test_what_is_deleted_counts_no_more(self, files: WorkspaceService, usage: Usage) -> None:
        await put(files, "data/a", 3 * M)
        await put(files, "data/deep/b", 3 * M)
        await put(files, "DATA/c", 1 * M)
        await files.delete("data/a")
        assert await left(usage) == 6 * M
        await files.delete("data", recursive=True)
        assert await left(usage) == 9 * M

    async def test_a_file_that_went_by_another_way_is_found_out_before_anybody_is_refused(
        self, files: WorkspaceService, usage: Usage, workspace: Workspace
    ) -> None:
        await put(files, "a", 9 * M)
        await WorkspaceService(workspace, SessionSettings()).delete("a")
        assert await left(usage) == 1 * M
        await put(files, "b", 9 * M)

    async def test_and_one_that_became_larger(self, files: WorkspaceService, usage: Usage, side: Any) -> None:
        await put(files, "a", 5 * M)
        side.put("a", bytes(7 * M))
        with pytest.raises(WorkspaceQuota, match="ada has 7340032 of 10485760 bytes"):
            await put(files, "b", 6 * M)

    async def test_files_of_other_ways_count_for_nobody(self, files: WorkspaceService, usage: Usage, side: Any) -> None:
        side.put("scene", bytes(2 * LIMIT))
        assert await left(usage) == LIMIT
        await files.delete("scene")
        assert await left(usage) == LIMIT


class TestCutUploads:
    async def test_what_has_arrived_counts_for_as_long_as_it_is_kept(
        self, files: WorkspaceService, usage: Usage, clock: SimpleNamespace
    ) -> None:
        with pytest.raises(asyncio.CancelledError):
            await files.put(UploadHeader("a", 6 * M, SHA256), cut(DATA[: 4 * M]), "ada")
        assert await left(usage) == 6 * M
        clock.now += 3601
        assert await left(usage) == LIMIT

    async def test_it_is_part_of_the_upload_that_goes_on(self, files: WorkspaceService, usage: Usage) -> None:
        await put(files, "other", 4 * M)
        with pytest.raises(asyncio.CancelledError):
            await files.put(UploadHeader("a", 6 * M, SHA256), cut(DATA[: 4 * M]), "ada")
        offset, _ = await files.resume("a", SHA256)
        await files.put(UploadHeader("a", 6 * M, SHA256, offset), pieces(DATA[offset:]), "ada")
        assert await left(usage) == 0

    async def test_one_without_a_digest_leaves_nothing(self, files: WorkspaceService, usage: Usage) -> None:
        with pytest.raises(asyncio.CancelledError):
            await files.put(UploadHeader("a", 6 * M), cut(DATA[: 4 * M]), "ada")
        assert await left(usage) == LIMIT

    async def test_nor_does_one_that_is_not_what_it_was_said_to_be(self, files: WorkspaceService, usage: Usage) -> None:
        with pytest.raises(ContentMismatch):
            await files.put(UploadHeader("a", 6 * M, SHA256), pieces(bytes(6 * M)), "ada")
        assert await left(usage) == LIMIT

    async def test_the_same_content_at_once_is_to_be_tried_again_and_not_refused(self, usage: Usage) -> None:
        await usage.reserve(Reservation("ada", "a", SHA256), 6 * M)
        with pytest.raises(UploadActive) as told:
            await usage.reserve(Reservation("ada", "a", SHA256), 6 * M)
        assert told.value.retry_after


class TestDeadReplicas:
    async def test_a_file_that_was_in_place_counts(
        self, files: WorkspaceService, usage: Usage, side: Any, clock: SimpleNamespace
    ) -> None:
        await usage.reserve(Reservation("ada", "a", SHA256), 6 * M)
        side.put("a", DATA)
        clock.now += LEASE_S + 1
        assert files._quota is not None
        await files._quota.adopt()
        assert [each.path for each in await usage.of("ada")] == ["a"]
        assert await left(usage) == 4 * M

    @pytest.mark.parametrize("sha256", [SHA256, None], ids=["summed", "not_summed"])
    async def test_a_file_that_was_not_leaves_its_room(
        self, files: WorkspaceService, usage: Usage, clock: SimpleNamespace, sha256: str | None
    ) -> None:
        await usage.reserve(Reservation("ada", "a", sha256), 6 * M)
        assert files._quota is not None
        await files._quota.adopt()
        assert await left(usage) == 4 * M
        clock.now += LEASE_S + 1
        await files._quota.adopt()
        assert await left(usage) == LIMIT

    async def test_who_lost_the_reservation_reserves_anew_before_the_file_takes_its_place(
        self, files: WorkspaceService, usage: Usage, side: Any
    ) -> None:
        async def frozen() -> AsyncIterator[bytes]:
            yield bytes(3 * M)
            # As if this process had been frozen: another replica adopted its reservation, and released it.
            assert files._quota is not None
            for upload in files._quota._active.values():
                upload.renewed_at -= LEASE_S
                await usage.release(upload.reservation)
            await usage.reserve(Reservation("ada", "b", None), LIMIT)
            yield bytes(3 * M)

        with pytest.raises(WorkspaceQuota):
            await files.put(UploadHeader("a", 6 * M), frozen(), "ada")
        assert side.names() == []
