"""Replicas read one another's records, over real connections."""

import socket
from contextlib import AsyncExitStack

import grpc
import pytest
from structlog.testing import capture_logs

from swath.inference.v1.profiles_pb2_grpc import add_ProfileShareServicer_to_server
from swath.rpc.addresses import Address
from swath.sessions.model import Profiling
from swath_inference.profiling.profiler import Profiler, summary
from swath_inference.profiling.replicas import ProfileShareServicer, RemoteReplicas


def _connect(address):
    return grpc.aio.insecure_channel(f"{address.host}:{address.port}")


class Replica:
    """One replica: its name, its address, and what it records."""

    def __init__(self, name):
        self.profiler = Profiler()
        self.name = name
        self._server = grpc.aio.server()
        add_ProfileShareServicer_to_server(ProfileShareServicer(self.profiler, self.name), self._server)
        self.address = Address("127.0.0.1", self._server.add_insecure_port("127.0.0.1:0"))

    async def start(self):
        await self._server.start()

    async def stop(self):
        await self._server.stop(None)

    def observe(self, *seconds, generation=0, session="s"):
        observer = self.profiler.observer(session, Profiling(enabled=True, generation=generation), "inference")
        assert observer is not None
        for each in seconds:
            observer("rx", each)


@pytest.fixture
async def replicas():
    """Two replicas that run."""
    made = [Replica("first"), Replica("second")]
    for replica in made:
        await replica.start()
    yield made
    for replica in made:
        await replica.stop()


@pytest.fixture
async def others(replicas):
    """What the first replica asks the others by; further addresses may be given."""
    async with AsyncExitStack() as stack:

        def make(*addresses):
            asked = [*(replica.address for replica in replicas), *addresses]
            made = RemoteReplicas(asked, _connect)
            made.name = replicas[0].name
            stack.push_async_callback(made.close)
            return made

        yield make


async def test_what_the_others_recorded_is_read_and_what_one_has_itself_is_not(replicas, others):
    replicas[0].observe(0.001)
    replicas[1].observe(0.002, 0.004)
    [record] = await others().read("s", 0)
    assert record["rx", "inference"].count == 2
    assert list(record["rx", "inference"].recent) == [2.0, 4.0]


async def test_together_they_are_what_one_alone_would_have_recorded(replicas, others):
    replicas[0].observe(0.001, 0.003)
    replicas[1].observe(0.002)
    [times] = summary([replicas[0].profiler.read("s", 0), *await others().read("s", 0)], None)
    assert (times.count, times.minimum, times.maximum, times.last) == (3, 1.0, 3.0, 2.0)
    assert (times.mean, times.median, times.total) == pytest.approx((2.0, 2.0, 6.0))
    assert times.std == pytest.approx((2 / 3) ** 0.5)


async def test_times_from_before_a_reset_are_left_out(replicas, others):
    replicas[1].observe(0.002, generation=0)
    assert await others().read("s", 1) == [{}]
    replicas[1].observe(0.004, generation=1)
    [record] = await others().read("s", 1)
    assert record["rx", "inference"].count == 1


async def test_a_session_that_nobody_ran_has_no_times(others):
    assert await others().read("nobody", 0) == [{}]


async def test_a_replica_that_does_not_answer_is_left_out_and_named(replicas, others):
    replicas[1].observe(0.002)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        away = Address("127.0.0.1", taken.getsockname()[1])
        with capture_logs() as logs:
            [record] = await others(away).read("s", 0)
    assert record["rx", "inference"].count == 1
    assert [entry["replica"] for entry in logs] == [f"127.0.0.1:{away.port}"]


async def test_a_name_that_stands_for_nothing_is_no_replica(replicas, others):
    assert len(await others(Address("no-such-host.invalid", 1)).read("s", 0)) == 1


async def test_a_replica_that_starts_anew_has_a_name_of_its_own():
    assert RemoteReplicas((), _connect).name != RemoteReplicas((), _connect).name
