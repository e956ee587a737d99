"""One call is one trace: across the gateway, the services that it asks, and the worker that it starts."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from swath.api import SERVICE_NAMES
from swath.client import Client, ClientConfig, NotFoundError, PreconditionError, RetryConfig, Session, UnavailableError
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath_suite.suite import Suite
from swath_suite.testing.fixtures import needs_programs
from swath_suite.testing.otlp_collector import Collector, Span

pytestmark = [pytest.mark.xdist_group("suite"), pytest.mark.timeout(300)]

CUVIS = "cuvis_ai.v1.CuvisAIService"
AUTHORITY = "swath.session.v1.SessionAuthority"
EPOCHS = 3
EXPORT_S = 1.5
"""Seconds after which a span has been sent."""


class Caller:
    """A client whose calls are all part of one trace, as those of somebody else's program are."""

    def __init__(self, *, sampled: bool = True) -> None:
        self._flags = "01" if sampled else "00"
        self.trace = secrets.token_hex(16)
        self.span = secrets.token_hex(8)

    @property
    def metadata(self) -> dict[str, str]:
        """What each call is sent with."""
        return {"traceparent": f"00-{self.trace}-{self.span}-{self._flags}"}

    def client(self, target: str) -> Client:
        """Return a client that calls so."""
        return Client(ClientConfig(target=target, metadata=self.metadata))


@dataclass
class Traced:
    """A suite that sends its spans to a collector."""

    suite: Suite
    collector: Collector

    def spans(self, caller: Caller, *names: str) -> list[Span]:
        """Return the spans of a caller's trace, once there are some of all these names and their parents."""

        def complete(spans: list[Span]) -> bool:
            known = {caller.span, *(span.id for span in spans)}
            return {span.name for span in spans} >= set(names) and all(span.parent in known for span in spans)

        return self.collector.wait(caller.trace, complete)

    def line(self, name: str, wanted: Callable[[dict[str, Any]], bool], timeout_s: float = 20.0) -> dict[str, Any]:
        """Return the first log line of a process that is as wanted; wait for it if need be."""
        deadline = time.monotonic() + timeout_s
        while True:
            text = self.suite.processes[name].log.read_text()
            for line in text.splitlines(keepends=True):
                if line[:1] == "{" and line[-1:] == "\n" and wanted(found := json.loads(line)):
                    return found
            assert time.monotonic() < deadline, f"{name} has no such line; its last ones: {text[-2000:]}"
            time.sleep(0.2)


@pytest.fixture(scope="module")
def traced(open_folder: Path) -> Iterator[Traced]:
    """A suite of one replica each, and its collector."""
    with Collector() as collector:
        settings = {"SWATH_OTLP_ADDRESS": collector.address}
        with needs_programs():
            suite = Suite(open_folder / "traced", replicas=dict.fromkeys(SERVICE_NAMES, 1), settings=settings)
        with suite:
            yield Traced(suite, collector)


@pytest.fixture(scope="module")
def trained(traced: Traced) -> Iterator[Session]:
    """A session with a fitted detector that can be trained further."""
    scene = Path(__file__).resolve().parents[2] / "examples" / "data" / "san_diego.npz"
    with Client(traced.suite.target) as client:
        client.workspace.put(str(scene), "data/san_diego.npz")
        session = client.open_session()
        epochs = f"training.max_epochs={EPOCHS}"
        session.set_run_config(session.resolve("trainrun", "trainrun/san_diego_deep_svdd", [epochs]))
        list(session.train("statistical"))
        yield session


@pytest.fixture
def caller() -> Caller:
    return Caller()


def _service(spans: list[Span], service: str, name: str) -> Span:
    """Return the one span of a service's own call; the gateway has two of the same name."""
    (found,) = [span for span in spans if (span.service, span.name) == (service, name)]
    return found


def _above(spans: list[Span], span: Span) -> list[tuple[str, str]]:
    """Return service and name of what a span is part of, from the nearest to the first."""
    by_id = {each.id: each for each in spans}
    chain = []
    while (above := by_id.get(span.parent)) is not None:
        chain.append((above.service, above.name))
        span = above
    return chain


def _infer(client: Client, session_id: str, cube: np.ndarray, wavelengths: np.ndarray) -> None:
    client.attach(session_id).infer(
        cube=cube[None].astype("float32"), wavelengths=wavelengths[None], outputs=["decisions"]
    )


def test_an_inference_is_one_tree_from_the_client_to_the_device(
    traced: Traced, trained: Session, scene: dict[str, np.ndarray], caller: Caller
) -> None:
    with caller.client(traced.suite.target) as client:
        _infer(client, trained.id, scene["cube"], scene["wavelengths"])
    name = f"{CUVIS}/Inference"
    spans = traced.spans(caller, name, f"{AUTHORITY}/ReadSessions", "forward")
    first = [span for span in spans if span.parent == caller.span]
    assert [(span.service, span.name) for span in first] == [("swath-gateway", name)]
    gateway = [("swath-gateway", name)] * 2  # the call as it came, and the try that reached a replica
    inference = [("swath-inference", name), *gateway]
    assert _above(spans, _service(spans, "swath-inference", name)) == gateway
    assert _above(spans, _service(spans, "swath-inference", "forward")) == inference
    assert _above(spans, _service(spans, "swath-session", f"{AUTHORITY}/ReadSessions")) == inference


def test_spans_of_calls_say_what_opentelemetry_has_agreed_on(traced: Traced, trained: Session, caller: Caller) -> None:
    with caller.client(traced.suite.target) as client:
        client.attach(trained.id).status()
    name = f"{CUVIS}/GetTrainStatus"
    spans = traced.spans(caller, name, f"{AUTHORITY}/ReadSessions")
    for span in spans:
        service, method = span.name.split("/")
        assert {"rpc.system": "grpc", "rpc.service": service, "rpc.method": method}.items() <= span.attributes.items()
        status = span.attributes["grpc.status_code" if span.service == "swath-gateway" else "rpc.grpc.status_code"]
        assert (str(status), span.failed) == ("0", False)
    kinds = sorted((span.service, span.kind) for span in spans if span.name == name)
    assert kinds == [("swath-gateway", "client"), ("swath-gateway", "server"), ("swath-training", "server")]
    training = _service(spans, "swath-training", name)
    assert (training.replica, training.attributes["session.id"]) == ("training-0", trained.id)


def test_a_call_that_is_refused_says_so(traced: Traced, caller: Caller) -> None:
    with caller.client(traced.suite.target) as client, pytest.raises(NotFoundError):
        client.attach("nobody's").status()
    name = f"{CUVIS}/GetTrainStatus"
    spans = [span for span in traced.spans(caller, name, f"{AUTHORITY}/ReadSessions") if span.name == name]
    code = grpc.StatusCode.NOT_FOUND.value[0]
    assert _service(spans, "swath-training", name).attributes["rpc.grpc.status_code"] == code
    # An error of who asked: only the span on that side of the call has failed.
    assert [(span.service, span.kind) for span in spans if span.failed] == [("swath-gateway", "client")]


def test_a_call_that_nobody_can_answer_has_failed(traced: Traced, trained: Session, caller: Caller) -> None:
    session = traced.suite.processes["session-0"]
    session.stop()
    try:
        config = ClientConfig(
            target=traced.suite.target,
            metadata=caller.metadata,
            retry=RetryConfig(attempts=1),
            timeout_s=30,
            health_service=None,
        )
        with Client(config) as client, pytest.raises(UnavailableError):
            client.attach(trained.id).status()
    finally:
        session.start()
        traced.suite.wait()
    name = f"{CUVIS}/GetTrainStatus"
    spans = traced.spans(caller, name)
    assert {span.service for span in spans if span.failed} == {"swath-gateway", "swath-training"}
    assert all(span.failed for span in spans if span.name == name)


def test_a_worker_and_all_that_it_does_belong_to_the_train_call(
    traced: Traced, trained: Session, caller: Caller
) -> None:
    name = f"{CUVIS}/Train"
    with caller.client(traced.suite.target) as client:
        assert list(client.attach(trained.id).train("gradient"))[-1].status == pb.TRAIN_STATUS_COMPLETE
    spans = traced.spans(caller, name, "attempt", "fit", "checkpoint")
    train = [("swath-training", name), ("swath-gateway", name), ("swath-gateway", name)]
    attempt = _service(spans, "swath-training-worker", "attempt")
    assert _above(spans, attempt) == train
    assert attempt.attributes["session.id"] == trained.id
    within = [("swath-training-worker", "attempt"), *train]
    assert _above(spans, _service(spans, "swath-training-worker", "fit")) == within
    epochs = [span for span in spans if span.name == "epoch"]
    assert sorted(span.attributes["swath.epoch"] for span in epochs) == list(range(1, EPOCHS + 1))
    for span in epochs:
        assert _above(spans, span) == [("swath-training-worker", "fit"), *within]
    for span in (span for span in spans if span.name == "checkpoint"):
        assert _above(spans, span) == within
    # The result goes to the session in the same trace, though nobody has to wait for it.
    assert any(train == _above(spans, span) for span in spans if span.name == f"{AUTHORITY}/UpdateSession")


def test_log_lines_of_services_and_workers_carry_trace_and_session(
    traced: Traced, trained: Session, scene: dict[str, np.ndarray], caller: Caller
) -> None:
    with caller.client(traced.suite.target) as client:
        list(client.attach(trained.id).train("gradient"))
        config = client.attach(trained.id).resolve("trainrun", "trainrun/san_diego_rx")
        client.attach(trained.id).set_run_config(config)
        with pytest.raises(PreconditionError, match="not fitted"):
            _infer(client, trained.id, scene["cube"], scene["wavelengths"])

    def of_call(event: str) -> Callable[[dict[str, Any]], bool]:
        return lambda line: (line["event"], line.get("trace")) == (event, caller.trace)

    for process, event in (("training-0", "audit"), ("training-0", "attempt ends"), ("inference-0", "call refused")):
        assert traced.line(process, of_call(event))["session"] == trained.id
    line = traced.line("gateway", lambda line: line.get("trace") == caller.trace)
    assert line["grpc_status"] == "OK"


def test_probes_and_calls_that_their_client_does_not_sample_leave_no_spans(
    traced: Traced, trained: Session, caller: Caller
) -> None:
    unseen = Caller(sampled=False)
    traced.suite.wait()
    for each in (unseen, caller):
        with each.client(traced.suite.target) as client:
            client.attach(trained.id).status()
    traced.spans(caller, f"{CUVIS}/GetTrainStatus", f"{AUTHORITY}/ReadSessions")
    assert not traced.collector.of(unseen.trace)
    assert not [span for span in traced.collector.spans if "grpc." in span.name or "unknown" in span.name]


def test_calls_go_on_as_before_while_the_collector_is_away(
    traced: Traced, trained: Session, scene: dict[str, np.ndarray]
) -> None:
    def calls(seconds: float) -> list[float]:
        times = []
        with Caller().client(traced.suite.target) as client:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                started = time.monotonic()
                client.attach(trained.id).status()
                times.append(time.monotonic() - started)
        return times

    def said() -> list[str]:
        """What the gateway has said beside its lines of calls."""
        return [line for line in traced.suite.processes["gateway"].log.read_text().splitlines() if line[:1] != "{"]

    quiet = said()
    before = np.median(calls(3))
    traced.collector.stop()
    try:
        # For as long as it takes to give a batch up, and longer.
        away = np.median(calls(12))
    finally:
        traced.collector.start()
    # Who waits for the collector waits for seconds.
    assert away < 2 * before + 0.5
    lines = traced.suite.processes["training-0"].log.read_text().splitlines()
    assert len([line for line in lines if '"spans are dropped' in line]) == 1
    assert not [line for line in lines if "opentelemetry" in line]
    caller = Caller()
    deadline = time.monotonic() + 60
    while not traced.collector.of(caller.trace):
        assert time.monotonic() < deadline, "spans arrive again once the collector is back"
        with caller.client(traced.suite.target) as client:
            client.attach(trained.id).status()
        time.sleep(EXPORT_S)
    assert said() == quiet
