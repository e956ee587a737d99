"""`swath bench` against a real server."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import grpc
import pytest
from grpc_health.v1 import health_pb2

from swath.client import Client, NotFoundError, Session
from swath.inference import open_inference_pb2, open_inference_pb2_grpc
from swath.models.v1 import models_pb2, models_pb2_grpc
from swath.rpc.proxies import NO_PROXY

from .conftest import refused, said

SHORT = ("--seconds", 0.6, "--rounds", 2, "--bands", 3, "--size", 8)


@pytest.fixture(scope="module")
def open_session(client: Client) -> Iterator[Session]:
    """A session whose pipeline scales `data` [B, H, W, C]."""
    with client.session() as session:
        session.load_pipeline(session.resolve("pipeline", "tiny/scale"))
        yield session


@pytest.fixture(scope="module")
def model(server, open_session) -> str:
    """Name of a published model of the same pipeline."""
    with grpc.insecure_channel(server.target, options=[NO_PROXY]) as channel:
        stub = models_pb2_grpc.ModelServiceStub(channel)
        stub.Publish(models_pb2.PublishRequest(name="scale", session_id=open_session.id))
        ready, served = open_inference_pb2_grpc.GRPCInferenceServiceStub(channel), False
        deadline = time.monotonic() + 10
        # Within a second every replica knows what is published.
        while not served and time.monotonic() < deadline:
            time.sleep(0.05)
            try:
                ready.ModelMetadata(open_inference_pb2.ModelMetadataRequest(name="scale"))
                served = True
            except grpc.RpcError:
                continue
    assert served
    return "scale"


def _report(swath, *arguments) -> dict:
    (line,) = [each for each in said(swath("bench", *arguments, *SHORT, "--json")) if each.startswith("{")]
    return json.loads(line)


@pytest.mark.parametrize("kind", ["session", "model"])
def test_calls_are_measured_against_a_floor(swath, server, open_session, model, kind) -> None:
    subject = open_session.id if kind == "session" else model
    report = _report(swath, subject, "--concurrency", "1,4")
    assert (report["target"], report["called"]) == (server.target, f"{kind} {subject}")
    assert report["input"] == {"from": "specs", "tensors": {"data": {"shape": [1, 8, 8, 3], "dtype": "float32"}}}
    # float32 both ways; the rest of the messages is small.
    for size in (report["request_bytes"], report["answer_bytes"], report["floor"]["request_bytes"]):
        assert 768 < size < 1000
    assert report["server_cpu"].startswith(f"of process {server.pid} (")
    assert [run["concurrency"] for run in report["runs"]] == [1, 4]
    for run in report["runs"]:
        for each in (run, run["floor"]):
            latency = each["latency_ms"]
            assert each["failures"] == {}
            assert each["calls"] >= run["concurrency"]
            assert each["seconds"] >= 0.6
            assert each["calls_per_s"] == pytest.approx(each["calls"] / each["seconds"])
            assert 0 < latency["min"] <= latency["p50"] <= latency["p90"] <= latency["p95"] <= latency["p99"]
            assert latency["p99"] <= latency["max"]
            assert each["server_cpu_ms_per_call"] > 0
        assert run["over_floor"]["p50"] == pytest.approx(run["latency_ms"]["p50"] / run["floor"]["latency_ms"]["p50"])


def test_a_scene_is_sent_as_it_is(swath, open_session, scene) -> None:
    report = _report(swath, open_session.id, "--scene", scene)
    assert report["input"]["from"] == str(scene)
    assert report["input"]["tensors"] == {"data": {"shape": [1, 6, 8, 3], "dtype": "float32"}}


def test_people_get_a_table_and_a_picture(swath, open_session, tmp_path) -> None:
    lines = said(swath("bench", open_session.id, *SHORT, "-c", "2", "--plot", tmp_path / "plot.png"))
    text = "\n".join(lines)
    assert "p99 ms" in text
    assert "floor" in text
    assert "CPU time is of process" in text
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("subject", "arguments", "words"),
    [
        ("0f8fad5b-d9cb-469f-a165-70867728950e", (), "SESSION_NOT_FOUND"),
        ("nothing", (), "nothing"),
        ("scale", ("-c", "0"), "expected numbers from 1 to 4096"),
        ("scale", ("--input", "mask"), "there is no input mask; there are data"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(swath, model, subject, arguments, words) -> None:
    assert words in refused(swath("bench", subject, *SHORT, *arguments))


def test_any_method_can_be_called_in_bytes(client: Client) -> None:
    check = "/grpc.health.v1.Health/Check"
    assert client.send(check, b"") == health_pb2.HealthCheckResponse(status="SERVING").SerializeToString()
    with pytest.raises(NotFoundError):
        client.send(check, health_pb2.HealthCheckRequest(service="nothing").SerializeToString())
