"""Artifacts that nothing refers to go; what a session or a run needs stays."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from swath.storage import ArtifactStore
from swath_standalone.collection import Collector


@pytest.fixture
def artifacts(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore.folder(tmp_path / "artifacts")


def referring(*digests: str):
    async def referrer() -> set[str]:
        return set(digests)

    return referrer


async def test_only_what_nothing_refers_to_goes(artifacts: ArtifactStore) -> None:
    session, run, nobody = [await artifacts.put(data) for data in (b"session", b"run", b"nobody")]
    await asyncio.sleep(0.01)
    collector = Collector(artifacts, [referring(run), referring(session)], grace_s=0, every_s=3600)
    assert await collector.collect() == 1
    assert [await artifacts.exists(digest) for digest in (session, run, nobody)] == [True, True, False]


async def test_what_was_put_lately_stays(artifacts: ArtifactStore) -> None:
    digest = await artifacts.put(b"on its way to a session")
    assert await Collector(artifacts, [], grace_s=60, every_s=3600).collect() == 0
    assert await artifacts.exists(digest)


async def test_a_round_that_fails_is_tried_again(artifacts: ArtifactStore) -> None:
    digest = await artifacts.put(b"nobody's")
    rounds, third = [], asyncio.Event()

    async def referrer() -> set[str]:
        rounds.append(len(rounds))
        if len(rounds) == 1:
            raise OSError("the database is away")
        if len(rounds) == 3:
            third.set()
        return set()

    collector = Collector(artifacts, [referrer], grace_s=0, every_s=0.01)
    collector.start()
    try:
        await third.wait()
        assert not await artifacts.exists(digest)
    finally:
        await collector.stop()
