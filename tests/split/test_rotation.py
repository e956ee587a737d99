"""All certificates are replaced, the CA included, while calls and streams are under way: nobody notices."""

from __future__ import annotations

import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any

import grpc
import pytest

from swath.api import CUVIS
from swath.client import Client, ClientConfig, RetryConfig, Session
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath_suite.suite import Suite
from swath_suite.testing.identities import Identities
from swath_suite.testing.workload import fitted, scene

ROTATION_INTERVAL_S = 10.0
TAKEN_UP_S = 3.0
"""By then everybody has taken changed files up: they are looked at ten times a second, where somebody asks."""


class Load:
    """Calls over and over, each made once: whatever fails is to be seen.

    Attributes:
        done: Calls that succeeded, by kind.
        failures: Those that did not, with the time since the start in seconds.
    """

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []
        self.done: Counter[str] = Counter()
        self.failures: list[tuple[float, str, str]] = []

    def add(self, kind: str, call: Callable[[], Any]) -> None:
        """Make a call again and again from now on."""
        thread = threading.Thread(target=self._work, args=(kind, call))
        self._threads.append(thread)
        thread.start()

    def end(self) -> None:
        """Let all of them finish."""
        self._ended.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive(), "a call hangs"

    def _work(self, kind: str, call: Callable[[], Any]) -> None:
        while not self._ended.wait(0.05):
            try:
                call()
            except Exception as error:
                self.failures.append((time.monotonic() - self._began, kind, repr(error)))
            else:
                self.done[kind] += 1


class Stream:
    """One Train call, never made again.

    Attributes:
        times: When its messages came, in seconds of the monotonic clock.
        statuses: What they said.
        broken: The error it ended with, if any.
    """

    def __init__(self, channel: grpc.Channel, config: ClientConfig, session: Session, trainer: pb.TrainerType) -> None:
        train = channel.unary_stream(
            f"/{CUVIS}/Train",
            request_serializer=pb.TrainRequest.SerializeToString,
            response_deserializer=pb.TrainResponse.FromString,
        )
        request = pb.TrainRequest(session_id=session.id, trainer_type=trainer)
        self._session = session
        self._call: Any = train(request, metadata=tuple(config.call_metadata()))
        self.times: list[float] = []
        self.statuses: list[int] = []
        self.broken: grpc.RpcError | None = None
        self._thread = threading.Thread(target=self._follow)
        self._thread.start()

    def stop(self) -> None:
        """Stop the run."""
        self._session.stop()
        self.end()

    def end(self) -> None:
        """Wait for its last message."""
        self._thread.join(60)
        assert not self._thread.is_alive()

    def _follow(self) -> None:
        try:
            for told in self._call:
                self.times.append(time.monotonic())
                self.statuses.append(told.status)
        except grpc.RpcError as error:
            self.broken = error


@pytest.fixture
def token(public_suite: Suite, identities: Identities) -> ClientConfig:
    """A client with a token, that tries each call once."""
    return public_suite.config(identities.tokens["alice"]).with_(retry=RetryConfig(attempts=1))


@pytest.fixture
def certificate(public_suite: Suite) -> ClientConfig:
    """A client of the same user with a certificate, which is replaced as well."""
    return public_suite.config(user="alice").with_(retry=RetryConfig(attempts=1))


@pytest.fixture
def detector(token: ClientConfig) -> Iterator[Session]:
    """A session with a fitted pipeline."""
    with Client(token) as client:
        yield fitted(client)


@pytest.fixture
def endless(public_suite: Suite, token: ClientConfig, detector: Session) -> Iterator[Stream]:
    """A run under way that takes as long as it is let; nobody else can train meanwhile."""
    with Client(token) as client, public_suite.channel() as channel:
        session = client.open_session()
        config = session.resolve("trainrun", "trainrun/san_diego_deep_svdd", ["training.max_epochs=10000"])
        session.set_run_config(config)
        for _ in session.train("statistical"):
            pass
        stream = Stream(channel, token, session, pb.TRAINER_TYPE_GRADIENT)
        yield stream
        stream.stop()


@pytest.fixture
def waiting(public_suite: Suite, token: ClientConfig, endless: Stream) -> Iterator[Stream]:
    """A run that has its turn after that: until then its stream is quiet."""
    with Client(token) as client, public_suite.channel() as channel:
        session = client.open_session()
        session.set_run_config(session.resolve("trainrun", "trainrun/san_diego_rx"))
        yield Stream(channel, token, session, pb.TRAINER_TYPE_STATISTICAL)


@contextmanager
def under_load(token: ClientConfig, certificate: ClientConfig, detector: Session) -> Iterator[Load]:
    """Calls of all kinds, over connections that stay and over new ones."""
    load = Load()
    cube, wavelengths = scene()

    def new_connection(config: ClientConfig) -> None:
        with Client(config) as client:
            client.pipelines()

    with Client(token) as one, Client(certificate) as other:

        def infer() -> None:
            detector.infer(cube=cube[:, :20, :20], wavelengths=wavelengths, outputs=["scores"])

        load.add("CreateSession and CloseSession, token", lambda: one.open_session().close())
        load.add("CreateSession and CloseSession, certificate", lambda: other.open_session().close())
        load.add("Inference", infer)
        load.add("ListAvailablePipelines", other.pipelines)
        load.add("new connection, token", lambda: new_connection(token))
        load.add("new connection, certificate", lambda: new_connection(certificate))
        try:
            yield load
        finally:
            load.end()


@pytest.mark.timeout(600)
def test_certificates_and_their_ca_are_replaced_for_a_minute_without_a_failed_call(
    public_suite: Suite,
    token: ClientConfig,
    certificate: ClientConfig,
    detector: Session,
    endless: Stream,
    waiting: Stream,
) -> None:
    authority = public_suite.certificates
    first = authority.ca.read_bytes()
    with under_load(token, certificate, detector) as load:
        for step in (authority.roll, authority.rotate, authority.retire):
            step()
            time.sleep(TAKEN_UP_S)
        before = load.done.copy()
        for _ in range(6):
            authority.rotate()
            time.sleep(ROTATION_INTERVAL_S)
        last_rotation = time.monotonic() - ROTATION_INTERVAL_S
    print(f"{dict(load.done)}, {len(endless.times)} messages of Train")
    assert authority.ca.read_bytes() != first
    assert load.failures == []
    # Each kind went on through the whole minute.
    assert {kind: load.done[kind] - before[kind] for kind in load.done if load.done[kind] - before[kind] < 20} == {}
    assert endless.broken is None
    assert set(endless.statuses) == {pb.TRAIN_STATUS_RUNNING}
    assert endless.times[-1] > last_rotation
    endless.stop()
    waiting.end()
    assert waiting.broken is None
    assert waiting.statuses[-1] == pb.TRAIN_STATUS_COMPLETE
    assert max(after - before for before, after in pairwise(waiting.times)) > 60.0


def test_who_connects_is_shown_the_present_certificate(public_suite: Suite) -> None:
    shown = {_shown(public_suite)}
    for _ in range(2):
        public_suite.certificates.rotate()
        deadline = time.monotonic() + 60
        while (now := _shown(public_suite)) in shown:
            assert time.monotonic() < deadline, "the certificate that is shown is still an old one"
            time.sleep(0.2)
        shown.add(now)
    assert len(shown) == 3


def _shown(suite: Suite) -> str:
    """Return the certificate that clients see."""
    host, port = suite.target.split(":")
    return ssl.get_server_certificate((host, int(port)))
