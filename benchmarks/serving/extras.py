"""Figures that no load generator gives: idle servers, memory, idle streams, chunks, and what the gateway adds."""

from __future__ import annotations

import importlib
import queue
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc

from benchmarks.harness import timed
from benchmarks.serving import ghz
from benchmarks.serving.dialects import Cuvis, NotOffered
from benchmarks.serving.side import OPTIONS, Side
from benchmarks.serving.sides import open_session
from benchmarks.serving.works import WORKS
from swath.api import GATEWAY, SERVICE_NAMES
from swath.client import Client
from swath_suite.suite import Suite

STREAMS = 100
_CHUNK = 2**22
_BY_NAME = {work.name: work for work in WORKS}


def idle_percent(side: Side, seconds: float = 3.0) -> float:
    """Return the share of one core that a server takes without calls, in per cent."""
    time.sleep(0.5)  # what the last calls left to do is done
    before = side.process.cpu_s()
    time.sleep(seconds)
    return 100 * (side.process.cpu_s() - before) / seconds


def peak_ratio(side: Side) -> float:
    """Return how much memory a server holds at most during a 64 MiB call, beyond what it held when it was ready.

    What it keeps of earlier calls counts. The figure is over the request's size.
    """
    work = _BY_NAME["small-out@1"]
    request = side.dialect.request(work.model, work.array())
    for pid in side.pids:
        # Sets the peak back to what is held now.
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    side.call(request)
    return (side.bytes_of("VmHWM") - side.held) / len(request)


def idle_streams(side: Side) -> dict[str, float]:
    """Return the threads and megabytes that open streams without frames cost.

    Raises:
        NotOffered: This build has no streams.
    """
    pb = _streaming()
    session = _sessions(side)["affine"]
    opening = pb.StreamInferRequest(open=pb.Open(session_id=session))

    held = side.bytes_of
    with grpc.insecure_channel(side.target, options=OPTIONS) as channel:
        method = channel.stream_stream(
            "/swath.inference.v1.InferenceService/StreamInfer",
            request_serializer=pb.StreamInferRequest.SerializeToString,
            response_deserializer=pb.StreamInferResponse.FromString,
        )
        # The first one may start what all of them share.
        ends = [queue.SimpleQueue() for _ in range(STREAMS + 1)]
        streams: list[Any] = []
        threads = memory = 0
        for end in ends:
            stream = method(_until(opening, end))
            next(stream)
            streams.append(stream)
            if len(streams) == 1:
                threads, memory = held("Threads"), held("VmRSS")
        time.sleep(0.5)
        found = {
            "threads of idle streams": float(held("Threads") - threads),
            "memory of idle streams, MB": (held("VmRSS") - memory) / 1e6,
        }
        for end, stream in zip(ends, streams, strict=True):
            end.put(None)
            stream.cancel()
    return found


def _until(first: Any, end: Any) -> Iterator[Any]:
    yield first
    end.get()


def chunked(side: Side, calls: int = 7) -> dict[str, float]:
    """Return the time of a 64 MiB cube in chunks over that of one message, both by the same client in turn.

    Raises:
        NotOffered: This build takes no chunks.
    """
    pb = _streaming()
    work = _BY_NAME["small-out@1"]
    x = work.array()
    data, unary = x.tobytes(), side.dialect.request(work.model, x)
    header = pb.CubeHeader(session_id=_sessions(side)[work.model], shape=x.shape, dtype=pb.D_TYPE_FLOAT32)

    def parts() -> Iterator[Any]:
        yield pb.InferCubeRequest(header=header)
        for start in range(0, len(data), _CHUNK):
            yield pb.InferCubeRequest(chunk=data[start : start + _CHUNK])

    with grpc.insecure_channel(side.target, options=OPTIONS) as channel:
        whole = channel.unary_unary(f"/{side.dialect.method}")
        cube = channel.stream_stream(
            "/swath.inference.v1.InferenceService/InferCube",
            request_serializer=pb.InferCubeRequest.SerializeToString,
            response_deserializer=pb.InferCubeResponse.FromString,
        )
        pairs = [(timed(lambda: whole(unary)), timed(lambda: list(cube(parts())))) for _ in range(calls)][1:]
    alone, in_parts = map(statistics.median, zip(*pairs, strict=True))
    return {
        "chunked over unary": in_parts / alone,
        "unary 64 MiB, ms": alone * 1e3,
        "chunked 64 MiB, ms": in_parts * 1e3,
    }


def _streaming() -> Any:
    try:
        return importlib.import_module("swath.inference.v1.inference_pb2")
    except ModuleNotFoundError:
        raise NotOffered("this build of Swath has no swath.inference.v1.InferenceService") from None


def _sessions(side: Side) -> Any:
    dialect = side.dialect
    assert isinstance(dialect, Cuvis)
    return dialect.sessions


def gateway(folder: Path, rounds: int) -> dict[str, float]:
    """Return what a tiny call through the gateway takes more than at the inference service, TLS on both sides."""
    work = _BY_NAME["tiny@1"]
    with tempfile.TemporaryDirectory(prefix="swath-bench-") as place:
        # Postgres may run as another user.
        Path(place).chmod(0o755)
        with Suite(Path(place), replicas=dict.fromkeys(SERVICE_NAMES, 1), public_tls=True) as suite:
            config = suite.config(user="bench")
            assert config.tls is not None
            with Client(config) as client:
                sessions = {work.model: open_session(client.stub, folder, work.model)}
                dialect = Cuvis(folder, sessions)
                file = folder / "gateway.request"
                file.write_bytes(dialect.request(work.model, work.array()))
                own = suite.layout.certificate(GATEWAY)
                ways = {
                    "through": (suite.target, (config.tls.root, config.tls.cert, config.tls.key)),
                    "direct": (
                        suite.layout.addresses("inference"),
                        (own["SWATH_TLS_CA"], own["SWATH_TLS_CERT"], own["SWATH_TLS_KEY"]),
                    ),
                }
                times: dict[str, list[float]] = {way: [] for way in ways}
                for _ in range(rounds + 1):
                    for way, (target, (ca, cert, key)) in ways.items():
                        command = ghz.command(
                            target,
                            method=dialect.method,
                            protoset=dialect.protoset,
                            request=file,
                            concurrency=1,
                            seconds=1.5,
                            security=(f"--cacert={ca}", f"--cert={cert}", f"--key={key}"),
                        )
                        times[way].append(ghz.run(command, 1.5).p50_ms)
    # The first of each is a warm-up.
    through, direct = (statistics.median(times[way][1:]) for way in ("through", "direct"))
    return {"gateway adds, ms": through - direct, "gateway p50, ms": through, "gateway direct p50, ms": direct}
