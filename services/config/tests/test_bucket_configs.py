"""Configurations of a workspace in a bucket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from swath.errors import ConfigInvalid, ConfigNotFound, InvalidInput, Unavailable
from swath.storage.s3.location import S3Location
from swath.storage.workspace.bucket import BucketWorkspace
from swath_config import ConfigService, ConfigSettings
from swath_suite.s3 import S3Process


def opened(place: S3Location, shipped: Path, cache: Path) -> BucketWorkspace:
    return BucketWorkspace(place, shipped, public="/workspace", cache=cache, cache_bytes=1 << 30)


@pytest.fixture
def workspace(s3_location: S3Location, shipped: Path, tmp_path: Path) -> Iterator[BucketWorkspace]:
    workspace = opened(s3_location, shipped, tmp_path / "cache")
    yield workspace
    workspace.close()


@pytest.fixture
async def service(workspace: BucketWorkspace, sessions: Any) -> AsyncIterator[ConfigService]:
    service = ConfigService(sessions, workspace, ConfigSettings(workers=2, time_limit_s=60))
    yield service
    await service.close()


async def epochs(service: ConfigService, path: str, *search_paths: str) -> int:
    return json.loads(await service.compose(search_paths, "training", path))["max_epochs"]


async def test_a_call_sees_every_file_that_was_put_before_it(
    service: ConfigService, workspace: BucketWorkspace
) -> None:
    for number in (3, 4, 5):
        workspace.bucket.put("configs/training/mine.yaml", f"max_epochs: {number}".encode())
        assert await epochs(service, "training/mine") == number
    workspace.bucket.delete(["configs/training/mine.yaml"])
    with pytest.raises(ConfigNotFound):
        await epochs(service, "training/mine")
    assert await epochs(service, "training/default")


async def test_two_hundred_calls_at_once_while_the_file_changes(
    service: ConfigService, workspace: BucketWorkspace
) -> None:
    async def call(at_least: int) -> bool:
        return await epochs(service, "training/mine") >= at_least

    calls: list[asyncio.Task[bool]] = []
    for number in range(1, 21):
        await asyncio.to_thread(workspace.bucket.put, "configs/training/mine.yaml", f"max_epochs: {number}".encode())
        calls += [asyncio.create_task(call(number)) for _ in range(10)]
    assert all(await asyncio.gather(*calls))


async def test_a_study_of_its_own_names_its_neighbours(service: ConfigService, workspace: BucketWorkspace) -> None:
    for path in ("/workspace/study/trainrun/run.yaml", "run"):
        workspace.bucket.put("study/base/base.yaml", b"max_epochs: 7")
        workspace.bucket.put("study/trainrun/run.yaml", b"defaults: [base, _self_]\nseed: 3")
        workspace.bucket.put("study/trainrun/base.yaml", b"max_epochs: 7")
        assert await epochs(service, path, "/workspace/study/trainrun") == 7


async def test_errors_name_paths_as_clients_know_them(service: ConfigService, workspace: BucketWorkspace) -> None:
    workspace.bucket.put("study/x.yaml", b"a: [")
    with pytest.raises(ConfigNotFound, match=r"\['/workspace/study', '/workspace/configs'\]"):
        await service.compose(["study", "."], "training", "nope")
    with pytest.raises(ConfigInvalid) as raised:
        await service.compose(["study"], "training", "x")
    assert str(workspace.root) not in raised.value.message


async def test_data_in_a_search_path_stays_where_it_is(service: ConfigService, workspace: BucketWorkspace) -> None:
    workspace.bucket.put("scenes/x.yaml", b"max_epochs: 2")
    workspace.bucket.put("scenes/cube.npz", b"1")
    assert await epochs(service, "x", "scenes") == 2
    assert not (workspace.root / "scenes" / "cube.npz").exists()


async def test_a_server_that_is_away(shipped: Path, tmp_path: Path, sessions: Any) -> None:
    with S3Process(tmp_path / "s3") as server:
        workspace = opened(server.place("w"), shipped, tmp_path / "other")
        service = ConfigService(sessions, workspace, ConfigSettings(workers=1, time_limit_s=60))
        workspace.bucket.put("configs/training/mine.yaml", b"max_epochs: 2")
        assert await epochs(service, "training/mine") == 2
        server.kill()
        with pytest.raises(Unavailable) as raised:
            await epochs(service, "training/mine")
        assert raised.value.retry_after
        server.start()
        assert await epochs(service, "training/mine") == 2
        await service.close()
        workspace.close()


async def test_search_paths_that_hold_too_much(
    service: ConfigService, workspace: BucketWorkspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swath.storage.workspace.bucket._MAX_CONFIGS", 10)
    for number in range(11):
        workspace.bucket.put(f"data/{number}", b"1")
    with pytest.raises(InvalidInput, match="more than 10 files"):
        await epochs(service, "x", "data")
    assert await epochs(service, "training/default")
