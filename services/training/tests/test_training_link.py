"""The link between a worker and the service, and how its items reach the disk."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from sqlalchemy import event

from swath.cuvis_ai.v1 import cuvis_ai_pb2
from swath.documents import CommandKind
from swath.errors import AttemptFenced, InvalidInput, SwathError
from swath.rpc.server.methods import whole_handler
from swath.storage.sql.engine import open_engine
from swath.training.v1 import worker_pb2 as pb
from swath.training.v1 import worker_pb2_grpc
from swath_training.api.adapters.run_events import RunEventCodec
from swath_training.api.adapters.train_responses import response_of
from swath_training.api.worker_servicer import WorkerServer
from swath_training.link import client
from swath_training.link.client import WorkerLink
from swath_training.link.endpoint import local, message_limits
from swath_training.runs.database.store import RunStore
from swath_training.runs.items import Ask, Checkpoint, Command, Event, File, Item, Result
from swath_training.runs.model import CheckpointKind, LoggedEvent, Run, RunCommand, RunState, Trainer
from swath_training.supervise.active_run import ActiveRun

from .conftest import World

EVENT = replace(RunEventCodec().note("RUNNING", "an event"), position=1)


class Service:
    """A service whose disk the test moves: it acknowledges one message each time `commits` is released."""

    def __init__(self) -> None:
        self.commits = asyncio.Semaphore(0)
        self.received: list[int] = []
        self.messages = 0
        self.acked = 0
        self.links = 0

    async def Connect(
        self, requests: AsyncIterator[pb.ConnectRequest], context: grpc.aio.ServicerContext
    ) -> AsyncIterator[pb.ConnectResponse]:
        assert (await anext(requests)).hello.run_id == "run"
        self.links += 1
        yield pb.ConnectResponse(
            welcome=pb.Welcome(
                spec=pb.Spec(trainer=1, artifacts=b"{}", workspace=b"{}"),
                acked_seq=self.acked,
                heartbeat_s=60,
                lost_after_s=60,
            )
        )
        async for request in requests:
            self.messages += 1
            self.received += [item.seq for item in request.items.items]
            await self.commits.acquire()
            if self.links == 1 and self.acked:
                return  # the second message is lost on the way to the disk
            self.acked = request.items.items[-1].seq
            yield pb.ConnectResponse(ack=pb.Ack(seq=self.acked))
            if request.items.items[-1].HasField("result"):
                yield pb.ConnectResponse(release=pb.Release())


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    """A service at `tmp_path/link.sock`."""
    service = Service()
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((whole_handler("swath.training.v1.WorkerLink", service),))
    server.add_insecure_port(f"unix:{tmp_path}/link.sock")
    await server.start()
    yield service
    service.commits.release()
    await server.stop(None)


async def test_a_run_waits_while_too_much_is_not_on_disk(service: Service, tmp_path: Path) -> None:
    link = WorkerLink(local(f"unix:{tmp_path}/link.sock"), "run", 1, "token", max_items=4)
    put: list[int] = []

    def work() -> None:
        link.connect()
        for number in range(1, 9):
            link.put(EVENT)
            put.append(number)
        link.put(Result("weights", "pipeline", EVENT))
        link.finish()

    worker = threading.Thread(target=work)
    worker.start()
    await _until(lambda: len(put) == 4)
    await asyncio.sleep(0.2)
    held = list(put)
    for _ in range(20):
        service.commits.release()
    await asyncio.to_thread(worker.join)

    assert held == [1, 2, 3, 4]
    assert service.links == 2  # one message was lost with its link
    assert sorted(set(service.received)) == list(range(1, 10))


async def test_events_that_come_fast_go_in_few_messages_and_the_end_at_once(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_ITEMS_INTERVAL_S", 60.0)
    link = WorkerLink(local(f"unix:{tmp_path}/link.sock"), "run", 1, "token")
    for _ in range(100):
        service.commits.release()
    service.links = 1  # none is lost

    def work() -> None:
        link.connect()
        link.put(EVENT)
        while not service.received:
            time.sleep(0.01)
        for _ in range(98):
            link.put(EVENT)
            time.sleep(0.002)
        link.put(Event(2, bytes(2 << 20)))  # more than a message holds: it goes, and what came before
        while len(service.received) < 100:
            time.sleep(0.01)
        link.put(EVENT)
        link.put(Result("weights", "pipeline", EVENT))
        link.finish()

    await asyncio.wait_for(asyncio.to_thread(work), 30)

    assert service.received == list(range(1, 103))
    assert service.messages == 3


async def test_messages_keep_to_the_limit_of_the_link(service: Service, tmp_path: Path) -> None:
    link = WorkerLink(local(f"unix:{tmp_path}/link.sock", max_message_bytes=3000), "run", 1, "token")
    service.links = 1  # none is lost
    for _ in range(100):
        service.commits.release()

    def work() -> None:
        link.connect()
        for _ in range(5):
            link.put(Event(1, bytes(2000)))
        with pytest.raises(InvalidInput, match="SWATH_MAX_MESSAGE_BYTES"):
            link.put(Event(2, bytes(3000)))
        link.put(Result("weights", "pipeline", EVENT))
        link.finish()

    await asyncio.wait_for(asyncio.to_thread(work), 30)

    assert service.received == list(range(1, 7))
    assert service.messages >= 5


async def test_a_server_of_links_takes_what_the_setting_allows_and_no_more(world: World, tmp_path: Path) -> None:
    """The limit that gRPC has by itself is neither above nor below it."""
    address = f"unix:{tmp_path}/other.sock"
    server = WorkerServer(address, world.training.links, max_message_bytes=6 << 20)
    await server.start()
    async with grpc.aio.insecure_channel(address, options=message_limits(64 << 20)) as channel:
        connect = worker_pb2_grpc.WorkerLinkStub(channel).Connect
        answers = []
        for size in (5 << 20, 7 << 20):
            call = connect()
            await call.write(pb.ConnectRequest(hello=pb.Hello(run_id="run", token="x" * size)))
            answers.append(await call.code())
    await server.stop()

    assert answers == [grpc.StatusCode.NOT_FOUND, grpc.StatusCode.RESOURCE_EXHAUSTED]


async def test_events_are_on_disk_in_few_commits(store: RunStore, run: Run, commits: list[int]) -> None:
    before = len(commits)

    items = [[Item(seq, Event(seq, b"event"))] for seq in range(1, 201)]
    await asyncio.gather(*[store.record(run.id, run.attempt, one) for one in items])

    assert [entry.seq for entry in await store.events(run.id, 0)] == list(range(1, 201))
    assert len(commits) - before <= 3


async def test_what_comes_again_is_passed_over(store: RunStore, run: Run) -> None:
    await store.record(run.id, 1, _events(1, 2, 3))
    again = await store.record(run.id, 1, _events(1, 2, 3, 4))

    assert [entry.seq for entry in again.events] == [4]


async def test_a_new_attempt_adds_only_what_the_log_lacks(store: RunStore, run: Run) -> None:
    await store.record(run.id, 1, [*_events(1, 2), Item(3, Checkpoint("sha256:two", 2)), *_events(3, 4, seq=4)])
    await store.begin(run.id, "second")

    # It goes on from the checkpoint after event 2, so events 3 and 4 come again.
    written = await store.record(run.id, 2, _events(3, 4, 5))

    assert [entry.payload for entry in written.events] == [b"5"]
    assert [entry.payload for entry in await store.events(run.id, 0)] == [b"1", b"2", b"3", b"4", b"5"]


async def test_a_gap_is_refused(store: RunStore, run: Run) -> None:
    with pytest.raises(InvalidInput, match="item 2 came where 1 was expected"):
        await store.record(run.id, 1, _events(2, seq=2))


async def test_one_stale_worker_does_not_hold_up_the_others(store: RunStore, run: Run) -> None:
    fresh, stale = await asyncio.gather(
        store.record(run.id, 1, _events(1)), store.record(run.id, 0, _events(1)), return_exceptions=True
    )

    assert isinstance(stale, AttemptFenced)
    assert not isinstance(fresh, BaseException)


def test_an_event_of_the_service_is_a_train_response() -> None:
    told = response_of(LoggedEvent(1, RunEventCodec().note("CANCELLED", "over").payload))

    assert (told.status, told.message) == (cuvis_ai_pb2.TRAIN_STATUS_CANCELLED, "over")


def _events(*positions: int, seq: int = 1) -> list[Item]:
    return [Item(seq + index, Event(position, b"%d" % position)) for index, position in enumerate(positions)]


async def _until(condition) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - the condition changes on another thread
            await asyncio.sleep(0.01)


@pytest.fixture
async def store(tmp_path: Path, commits: list[int]) -> AsyncIterator[RunStore]:
    engine = open_engine(tmp_path / "training.db")
    event.listen(engine.sync_engine, "commit", lambda connection: commits.append(1))
    store = RunStore(engine)
    await store.prepare()
    yield store
    await store.close()


@pytest.fixture
def commits() -> list[int]:
    """Grows by one with each commit."""
    return []


@pytest.fixture
async def run(store: RunStore) -> Run:
    """A run in its first attempt."""
    run = Run("run", "session", "", RunState.QUEUED, Trainer.STATISTICAL, "arguments", "spec", "pipeline", None, "cpu")
    await store.create(run, Event(0, b""))
    return await store.begin(run.id, "first")


async def test_files_and_checkpoints_of_users_are_kept_once_whichever_attempt_sends_them(
    store: RunStore, run: Run
) -> None:
    saved = Checkpoint("sha256:saved", 2, CheckpointKind.USER, step=7, epoch=1)
    signals = File("signals", "sha256:signals", 10, 0, 7, 1)

    await store.record(
        run.id, 1, [*_events(1, 2), Item(3, saved), Item(4, signals), Item(5, Checkpoint("sha256:r", 2))]
    )
    await store.begin(run.id, "again")
    again = (replace(saved, digest="sha256:other"), replace(signals, digest="sha256:other"))
    await store.record(run.id, 2, [*(Item(seq, body) for seq, body in enumerate(again, start=1))])
    await store.record(run.id, 2, [Item(3, File("signals", "sha256:more", 4, 8, 9, 2))])

    checkpoints = await store.files.checkpoints(run.id)
    files = await store.files.files(run.id, 0)
    assert {(each.kind, each.digest, each.step) for each in checkpoints} == {
        (CheckpointKind.USER, "sha256:saved", 7),
        (CheckpointKind.RESUME, "sha256:r", 0),
    }
    assert [(each.number, each.digest, each.attempt) for each in files] == [
        (1, "sha256:signals", 1),
        (2, "sha256:more", 2),
    ]
    assert await store.files.files(run.id, 1, ["samples"]) == []
    assert {"sha256:saved", "sha256:signals", "sha256:more"} <= await store.artifacts()


async def test_a_worker_of_the_release_before_is_not_sent_what_it_does_not_know() -> None:
    sent: list[Command] = []

    class Old:
        def send(self, command: Command) -> None:
            sent.append(command)

        def close(self, error: SwathError | None) -> None:
            del error

    active = ActiveRun("run", "session", 1, RunState.RUNNING, None, connection=Old())
    command = RunCommand(1, "id", CommandKind.PAUSE, {}, "")

    active.ask([command])
    assert sent == []
    active.takes_commands = True
    active.ask([command])
    active.ask([command])
    assert sent == [Ask(command)]
