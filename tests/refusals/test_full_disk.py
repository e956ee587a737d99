"""A standalone server whose disk is full for real."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from swath.client import CallError, Client, NotFoundError, Session
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath_standalone.process import ServerProcess
from swath_suite.testing.fixtures import needs_programs
from swath_suite.testing.small_disk import SmallDisk

from .conftest import METHODS, Work

Refusal = Callable[[Callable[[], object]], CallError]


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmallDisk]:
    with needs_programs():
        disk = SmallDisk(tmp_path_factory.mktemp("full") / "disk", 64 << 20)
    with disk:
        yield disk


@pytest.fixture(scope="module")
def work(disk: SmallDisk) -> Iterator[Work]:
    """A session of a server that has all its state on the disk."""
    # What a run of quick epochs leaves behind is collected at once: else it would fill the disk by itself.
    settings = {"SWATH_CHECKPOINT_GRACE_S": "0", "SWATH_ARTIFACT_COLLECT_S": "0.5"}
    with ServerProcess(disk.folder / "state", environment=settings) as server, Client(server.target) as client:
        yield Work.begin(client)


@pytest.fixture
def full(disk: SmallDisk) -> Iterator[SmallDisk]:
    """The disk, full; it is freed after the test."""
    disk.fill()
    yield disk
    disk.free()


def unfinished(folder: Path) -> list[str]:
    """Return files that writes have begun and not finished."""
    names = [path.name for path in folder.rglob("*") if path.is_file()]
    return [name for name in names if name.startswith(".swath-") or "#" in name]


@pytest.mark.parametrize("method", METHODS)
def test_it_is_refused_in_words_changes_nothing_and_goes_on(
    work: Work, disk: SmallDisk, refusal: Refusal, method: str
) -> None:
    work.fit()
    scores, files = work.scores(), work.files()
    call = work.calls[method]
    disk.fill()
    refused = refusal(call)
    assert (refused.code, refused.reason) == ("RESOURCE_EXHAUSTED", "STORAGE_REFUSED"), refused
    assert "no room" in str(refused)
    assert unfinished(disk.folder) == []
    np.testing.assert_array_equal(work.scores(), scores)
    assert work.files() == files
    disk.free()
    call()


def test_sessions_are_refused_or_there(work: Work, full: SmallDisk, refusal: Refusal) -> None:
    made = []

    def create() -> None:
        # What the write-ahead log has room for is taken: it was acknowledged, and is on disk.
        for _ in range(20_000):
            made.append(work.client.open_session())

    refused = refusal(create)
    assert (refused.code, refused.reason) == ("RESOURCE_EXHAUSTED", "STORAGE_REFUSED")
    full.free()
    for session in made:
        session.status()
        session.close()
        with pytest.raises(NotFoundError):
            session.status()


def test_a_run_whose_disk_fills_up_goes_on_or_ends_in_words(work: Work, disk: SmallDisk) -> None:
    epochs: list[int] = []

    def follow(session: Session) -> CallError | None:
        try:
            for told in session.train("gradient"):
                if told.event.hook == pb.TRAIN_HOOK_EPOCH_END:
                    epochs.append(told.event.epochs.current)
        except CallError as error:
            return error
        return None

    with work.client.session() as session, ThreadPoolExecutor(1) as pool:
        overrides = ["training.max_epochs=10000"]
        session.set_run_config(session.resolve("trainrun", "trainrun/san_diego_deep_svdd", overrides))
        list(session.train("statistical"))
        following = pool.submit(follow, session)
        while len(epochs) < 2:
            assert not following.done(), following.result()
            time.sleep(0.05)
        disk.fill()
        time.sleep(3.0)
        assert session.inputs()
        disk.free()
        time.sleep(3.0)
        session.stop()
        end = following.result(60)
        # Which one depends on what was refused first: an event, for which it waits, or a checkpoint.
        assert end is None or (end.code, end.reason) == ("RESOURCE_EXHAUSTED", "STORAGE_REFUSED")
        assert epochs == list(range(1, len(epochs) + 1))
        # The session is free.
        session.load_pipeline(session.resolve("trainrun", "trainrun/san_diego_rx")["pipeline"])
