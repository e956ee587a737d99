"""Files of a workspace in a bucket: what only such a one can do, or may suffer."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from swath.errors import ContentMismatch, StorageDenied, Unavailable
from swath.storage.s3.bucket import PART, SHA256, Bucket
from swath.storage.s3.location import S3Location
from swath.storage.workspace.bucket import BucketWorkspace
from swath.storage.workspace.folder import Workspace
from swath_session import SessionSettings, WorkspaceService
from swath_session.workspace.model import Entry, UploadHeader
from swath_suite.s3 import S3Process

CUBE = os.urandom(3 * PART + 1_000_003)
DIGEST = hashlib.sha256(CUBE).hexdigest()
HEADER = UploadHeader("data/cube.npz", len(CUBE), DIGEST)

Open = Callable[[S3Location], BucketWorkspace]


@pytest.fixture
def opened(tmp_path: Path, in_folder: Workspace) -> Iterator[Open]:
    """Opens a workspace as one replica does, with local copies of its own."""
    workspaces: list[BucketWorkspace] = []

    def opened(place: S3Location) -> BucketWorkspace:
        cache = tmp_path / f"cache-{len(workspaces)}"
        workspaces.append(
            BucketWorkspace(place, in_folder.configs, public="/workspace", cache=cache, cache_bytes=1 << 30)
        )
        return workspaces[-1]

    yield opened
    for workspace in workspaces:
        workspace.close()


@pytest.fixture
async def replicas(opened: Open, s3_location: S3Location) -> AsyncIterator[list[WorkspaceService]]:
    """Two replicas of the service."""
    services = [WorkspaceService(opened(s3_location), SessionSettings()) for _ in range(2)]
    yield services
    for service in services:
        await service.stop()


@pytest.fixture
def bucket(s3_location: S3Location) -> Bucket:
    return Bucket.open(s3_location)


async def pieces(data: bytes, size: int = 1 << 20) -> AsyncIterator[bytes]:
    for position in range(0, len(data), size):
        yield data[position : position + size]


async def cut(data: bytes) -> AsyncIterator[bytes]:
    async for piece in pieces(data):
        yield piece
    raise asyncio.CancelledError


async def got(service: WorkspaceService, path: str) -> bytes:
    return b"".join([part async for part in service.get(path) if not isinstance(part, Entry)])


def keys(bucket: Bucket) -> list[str]:
    return [each.key for each in bucket.list()]


class TestReplicas:
    async def test_an_upload_goes_on_at_another_replica(self, replicas: list[WorkspaceService], bucket: Bucket) -> None:
        first, second = replicas
        with pytest.raises(asyncio.CancelledError):
            await first.put(HEADER, cut(CUBE[: 2 * PART + (1 << 20)]))
        assert not any(key.startswith("data") for key in keys(bucket))
        offset, complete = await second.resume(HEADER.path, DIGEST)
        assert (offset, complete) == (2 * PART + (1 << 20), False)
        header = UploadHeader(HEADER.path, len(CUBE), DIGEST, offset)
        assert (await second.put(header, pieces(CUBE[offset:]))).sha256 == DIGEST
        assert await got(first, HEADER.path) == CUBE
        assert await first.resume(HEADER.path, DIGEST) == (len(CUBE), True)
        assert keys(bucket) == ["data/cube.npz"]

    async def test_what_a_replica_that_was_killed_had_taken_is_kept_in_pieces(
        self, replicas: list[WorkspaceService], opened: Open, s3_location: S3Location
    ) -> None:
        first, second = replicas
        upload = first._uploads.open(HEADER)
        upload.write([CUBE[: 2 * PART + 5000]])  # and nothing more is heard of it
        offset, _ = await second.resume(HEADER.path, DIGEST)
        assert offset in (2 * PART, 2 * PART + 5000)
        header = UploadHeader(HEADER.path, len(CUBE), DIGEST, offset)
        assert (await second.put(header, pieces(CUBE[offset:]))).sha256 == DIGEST
        upload.abandon(keep=False)

    async def test_the_same_upload_at_both_ends_with_the_one_file(
        self, replicas: list[WorkspaceService], bucket: Bucket
    ) -> None:
        entries = await asyncio.gather(*(each.put(HEADER, pieces(CUBE)) for each in replicas))
        assert {entry.sha256 for entry in entries} == {DIGEST}
        assert bucket.get(HEADER.path) == CUBE
        assert keys(bucket) == ["data/cube.npz"]

    async def test_different_files_to_one_path_end_with_one_of_them_whole(
        self, replicas: list[WorkspaceService], bucket: Bucket
    ) -> None:
        contents = [bytes([number]) * (PART + number) for number in range(6)]
        await asyncio.gather(
            *(replicas[number % 2].put(UploadHeader("file"), pieces(data)) for number, data in enumerate(contents))
        )
        assert bucket.get("file") in contents

    async def test_a_listing_while_others_write_holds_whole_files_only(self, replicas: list[WorkspaceService]) -> None:
        reader, writer = replicas
        sizes: set[int] = set()

        async def read() -> None:
            while True:
                entries, _ = await reader.page("data", recursive=True)
                sizes.update(entry.size for entry in entries if not entry.folder)

        await writer.put(UploadHeader("data/first"), pieces(b"1"))
        reading = asyncio.create_task(read())
        for number in range(5):
            await writer.put(UploadHeader(f"data/{number}"), pieces(CUBE[: PART + 1]))
        reading.cancel()
        assert sizes <= {1, PART + 1}


class TestDigests:
    async def test_are_kept_with_the_file(self, replicas: list[WorkspaceService], bucket: Bucket) -> None:
        for header in (UploadHeader("small"), HEADER):
            await replicas[0].put(header, pieces(CUBE if header is HEADER else b"small"))
        assert bucket.describe("small")[1][SHA256] == hashlib.sha256(b"small").hexdigest()
        assert bucket.describe(HEADER.path)[1][SHA256] == DIGEST

    async def test_of_files_that_came_by_other_tools_are_computed(
        self, replicas: list[WorkspaceService], bucket: Bucket, s3: S3Process, s3_location: S3Location
    ) -> None:
        bucket.put("by/hand", CUBE)
        # Straight into the server's folder: it has no ETag for such a one.
        (s3.files / s3_location.prefix / "by" / "file").write_bytes(b"file")
        assert (await replicas[0].stat("by/hand", with_sha256=True)).sha256 == DIGEST
        entries, _ = await replicas[0].page("by", with_sha256=True)
        assert [entry.sha256 for entry in entries] == [hashlib.sha256(b"file").hexdigest(), DIGEST]
        assert await got(replicas[0], "by/file") == b"file"


class TestPages:
    async def test_of_more_files_than_a_page(self, replicas: list[WorkspaceService], bucket: Bucket) -> None:
        for number in range(25):
            bucket.put(f"a/{number % 4}/{number}", b"1")
        for recursive in (True, False):
            joined: list[str] = []
            after = ""
            while True:
                entries, after = await replicas[len(joined) % 2].page("a", recursive=recursive, most=3, after=after)
                joined += [entry.place for entry in entries]
                if not after:
                    break
            assert joined == sorted(set(joined))
            assert len(joined) == (29 if recursive else 4)


class TestSweeping:
    async def test_what_nobody_goes_on_with_is_removed(
        self, replicas: list[WorkspaceService], s3: S3Process, s3_location: S3Location, bucket: Bucket
    ) -> None:
        with pytest.raises(asyncio.CancelledError):
            await replicas[0].put(HEADER, cut(CUBE[:PART]))
        assert await replicas[1].sweep() == 0
        yesterday = time.time() - 90_000
        for path in (s3.files / s3_location.prefix / ".swath-uploads").rglob("*"):
            os.utime(path, (yesterday, yesterday))
        assert await replicas[1].sweep() == 1
        assert keys(bucket) == []


class TestFaults:
    async def test_a_server_that_goes_away_and_comes_back(self, opened: Open, tmp_path: Path) -> None:
        with S3Process(tmp_path / "s3") as server:
            service = WorkspaceService(opened(server.place("w")), SessionSettings())
            await service.put(UploadHeader("kept"), pieces(b"kept"))

            async def interrupted() -> AsyncIterator[bytes]:
                async for piece in pieces(CUBE):
                    if server.alive and piece == CUBE[2 * PART : 2 * PART + (1 << 20)]:
                        server.kill()
                    yield piece

            started = time.monotonic()
            with pytest.raises(Unavailable) as raised:
                await service.put(HEADER, interrupted())
            assert raised.value.retry_after
            assert time.monotonic() - started < 25
            for call in (service.stat("kept"), service.page(""), service.delete("kept"), got(service, "kept")):
                with pytest.raises(Unavailable):
                    await call
            server.start()
            assert await got(service, "kept") == b"kept"
            offset, complete = await service.resume(HEADER.path, DIGEST)
            assert PART <= offset < len(CUBE)
            assert not complete
            header = UploadHeader(HEADER.path, len(CUBE), DIGEST, offset)
            assert (await service.put(header, pieces(CUBE[offset:]))).sha256 == DIGEST
            await service.stop()

    async def test_denied(self, opened: Open, s3: S3Process) -> None:
        place = S3Location(s3.bucket, "x", s3.endpoint, "us-east-1", s3.access_key_id, "wrong")
        service = WorkspaceService(opened(place), SessionSettings())
        for call in (service.put(UploadHeader("x"), pieces(b"1")), service.stat("x"), service.delete("x")):
            with pytest.raises(StorageDenied):
                await call
        await service.stop()

    async def test_large_content_that_is_not_as_announced_never_shows(
        self, replicas: list[WorkspaceService], bucket: Bucket
    ) -> None:
        await replicas[0].put(UploadHeader(HEADER.path), pieces(b"old"))
        with pytest.raises(ContentMismatch, match="has the sha256"):
            await replicas[0].put(HEADER, pieces(bytes(len(CUBE))))
        assert bucket.get(HEADER.path) == b"old"
        assert keys(bucket) == [HEADER.path]
        assert await replicas[1].resume(HEADER.path, DIGEST) == (0, False)
