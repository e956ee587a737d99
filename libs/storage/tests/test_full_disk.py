"""Stores on a disk that is really full: refused before the acknowledgement, nothing half-written, and on they go."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.engine import make_url

from swath.errors import DependencyMissing, FileMissing, StorageRefused, Unavailable
from swath.storage import ArtifactStore, FolderObjects, Workspace
from swath.storage.opening import artifacts_from_spec
from swath.storage.s3.bucket import PART, Bucket
from swath.storage.sql.engine import GroupWriter, open_engine, reading, run
from swath.storage.workspace.bucket import BucketWorkspace
from swath_suite.postgres import PostgresProcess
from swath_suite.s3 import S3Process
from swath_suite.testing.fixtures import missing
from swath_suite.testing.small_disk import SmallDisk


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_artifacts(small_disk: SmallDisk) -> None:
    store = ArtifactStore(FolderObjects(small_disk.folder / "artifacts"))
    kept = store.put_sync(b"kept")
    before = files(small_disk.folder)
    small_disk.fill(leave=100_000)
    with pytest.raises(StorageRefused, match="no room"):
        store.put_sync(os.urandom(1_000_000))
    small_disk.fill()
    with pytest.raises(StorageRefused, match="no room"):
        store.put_sync(b"small")
    assert files(small_disk.folder) - {"filler"} == before
    assert store.get_sync(kept) == b"kept"
    # What is there already may be put again all the same, or be refused: it stays.
    small_disk.free()
    assert store.get_sync(store.put_sync(b"small")) == b"small"


def test_artifacts_are_collected_also_when_nothing_can_be_written(small_disk: SmallDisk) -> None:
    store = ArtifactStore(FolderObjects(small_disk.folder / "artifacts"))
    digests = {store.put_sync(os.urandom(100_000)) for _ in range(3)}
    small_disk.fill()
    store.tidy_sync(0)
    assert set(store.remove_sync(store.older_sync(0), 0)) == digests
    store.put_sync(os.urandom(100_000))


def test_files_of_the_workspace(small_disk: SmallDisk, tmp_path: Path) -> None:
    workspace = Workspace(small_disk.folder / "root", tmp_path / "shipped")
    workspace.write("configs/pipeline/a.yaml", b"old")
    before = files(small_disk.folder)
    small_disk.fill()
    for path in ("configs/pipeline/a.yaml", "configs/pipeline/new.yaml"):
        with pytest.raises(StorageRefused, match="no room"):
            workspace.write(path, os.urandom(100_000))
    assert files(small_disk.folder) - {"filler"} == before
    assert workspace.find("configs/pipeline/a.yaml").read_bytes() == b"old"
    small_disk.free()
    workspace.write("configs/pipeline/a.yaml", b"new")


async def test_a_database(small_disk: SmallDisk) -> None:
    engine = open_engine(small_disk.folder / "test.db")
    writer = GroupWriter(engine)

    def add(size: int):
        def work(connection: Connection) -> int:
            statement = "INSERT INTO notes (text) VALUES (:text) RETURNING id"
            return connection.execute(text(statement), {"text": os.urandom(size).hex()}).scalar_one()

        return work

    def ids(connection: Connection) -> list[int]:
        return list(connection.execute(text("SELECT id FROM notes ORDER BY id")).scalars())

    await writer.write(
        lambda connection: connection.execute(text("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)"))
    )
    acknowledged = [await writer.write(add(1000))]
    small_disk.fill(leave=300_000)
    refused: list[StorageRefused] = []
    for _ in range(100):
        for done in await asyncio.gather(*(writer.write(add(1000)) for _ in range(20)), return_exceptions=True):
            if isinstance(done, int):
                acknowledged.append(done)
            else:
                assert isinstance(done, StorageRefused), done
                refused.append(done)
    assert refused
    assert (refused[0].code, refused[0].reason) == ("RESOURCE_EXHAUSTED", "STORAGE_REFUSED")
    # Reads go on.
    assert await run(engine, ids) == sorted(acknowledged)
    small_disk.free()
    acknowledged.append(await writer.write(add(100_000)))
    assert await run(engine, ids) == sorted(acknowledged)
    await writer.close()
    await engine.dispose()


async def test_a_database_that_cannot_be_made(small_disk: SmallDisk) -> None:
    small_disk.fill()
    engine = open_engine(small_disk.folder / "test.db")
    with pytest.raises(StorageRefused, match="no room"):
        await run(engine, lambda connection: connection.execute(text("CREATE TABLE notes (id INTEGER)")), write=True)
    await engine.dispose()


@pytest.fixture
def full_s3(small_disk: SmallDisk) -> Iterator[S3Process]:
    """An S3 server over the disk."""
    try:
        server = S3Process(small_disk.folder / "s3")
    except DependencyMissing as error:
        missing(error.message)
    with server:
        yield server


def test_a_bucket(small_disk: SmallDisk, full_s3: S3Process, tmp_path: Path) -> None:
    spec = {"bucket": full_s3.place("artifacts").spec(), "cache": str(tmp_path / "cache"), "cache_bytes": 1 << 30}
    store, bucket = artifacts_from_spec(spec), Bucket.open(full_s3.place(""))
    kept = store.put_sync(b"kept")
    before = [each.key for each in bucket.list()]
    small_disk.fill()
    for data in (b"small", os.urandom(2 * PART)):
        with pytest.raises(StorageRefused, match="no room"):
            store.put_sync(data)
    assert [each.key for each in bucket.list()] == before
    assert store.get_sync(kept) == b"kept"
    small_disk.free()
    store.put_sync(b"small")


@pytest.mark.parametrize("kind", ["folder", "bucket"])
def test_of_files_that_belong_together_none_is_there_without_the_others(
    small_disk: SmallDisk, full_s3: S3Process, tmp_path: Path, kind: str
) -> None:
    if kind == "folder":
        workspace = Workspace(small_disk.folder / "root", tmp_path / "shipped")
    else:
        place = full_s3.place("workspace")
        workspace = BucketWorkspace(
            place, tmp_path / "shipped", public="/workspace", cache=tmp_path / "cache", cache_bytes=1 << 30
        )
    pair = {"configs/pipeline/a.pt": os.urandom(200_000), "configs/pipeline/a.yaml": os.urandom(400_000)}
    small_disk.fill(leave=500_000)
    with pytest.raises(StorageRefused, match="no room"):
        workspace.write_all(pair)
    for path in pair:
        with pytest.raises(FileMissing):
            workspace.find(path)
    small_disk.free()
    workspace.write_all(pair)
    assert [workspace.find(path).read_bytes() for path in pair] == list(pair.values())
    workspace.close()


async def test_postgres(postgres: PostgresProcess, postgres_url: str, open_folder: Path) -> None:
    try:
        disk = SmallDisk(open_folder / "tablespace", 4 << 20)
    except DependencyMissing as error:
        missing(error.message)
    with disk:
        user = os.stat(postgres.query("SHOW data_directory").strip()).st_uid
        os.chown(disk.folder, user, user)
        postgres.query(f"CREATE TABLESPACE small LOCATION '{disk.folder}'")
        engine = open_engine(postgres_url, schema="public")
        create = text("CREATE TABLE notes (text text) TABLESPACE small")
        add = text("INSERT INTO notes SELECT md5(random()::text) FROM generate_series(1, 200000)")
        await run(engine, lambda connection: connection.execute(create), write=True)
        with pytest.raises(StorageRefused, match="its database is full") as caught:
            await GroupWriter(engine).write(lambda connection: connection.execute(add))
        assert (caught.value.code, caught.value.reason) == ("RESOURCE_EXHAUSTED", "STORAGE_REFUSED")
        await run(engine, lambda connection: connection.execute(text("DROP TABLE notes")), write=True)
        await engine.dispose()
        postgres.query("DROP TABLESPACE small")


async def test_too_many_connections_are_said_in_words(postgres: PostgresProcess, postgres_url: str) -> None:
    name = make_url(postgres_url).database
    postgres.query(f"CREATE ROLE few LOGIN PASSWORD 'few' CONNECTION LIMIT 1; GRANT CONNECT ON DATABASE {name} TO few")
    url = make_url(postgres_url).set(username="few", password="few").render_as_string(hide_password=False)
    first, second = open_engine(url, schema="public"), open_engine(url, schema="public")
    async with reading(first) as connection:
        await connection.execute(text("SELECT 1"))
        with pytest.raises(Unavailable, match="too many connections") as caught:
            await run(second, lambda connection: connection.execute(text("SELECT 1")).scalar_one())
        assert caught.value.retry_after
    await first.dispose()
    # Once there is room again it goes on.
    assert await run(second, lambda connection: connection.execute(text("SELECT 1")).scalar_one()) == 1
    await second.dispose()
