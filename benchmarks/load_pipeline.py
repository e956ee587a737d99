"""LoadPipeline on a warm server, beside a call that does nothing."""

from __future__ import annotations

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from benchmarks.harness import Row, interleaved, limit_row, server
from swath.client import build_stub, create_session_with_search_paths
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb

PIPELINES = ("san_diego/rx", "san_diego/channel_selector", "anomaly/deep_svdd/deep_svdd")


def measure() -> list[Row]:
    rows = []
    with server() as running, grpc.insecure_channel(running.target) as channel:
        stub = build_stub(running.target)
        health = health_pb2_grpc.HealthStub(channel)
        session = create_session_with_search_paths(stub)
        for name in PIPELINES:
            config = stub.ResolveConfig(
                pb.ResolveConfigRequest(session_id=session, config_type="pipeline", path=f"pipeline/{name}")
            )
            request = pb.LoadPipelineRequest(
                session_id=session, pipeline=pb.PipelineConfig(config_bytes=config.config_bytes)
            )
            load, nothing = interleaved(
                lambda request=request: stub.LoadPipeline(request),
                lambda: health.Check(health_pb2.HealthCheckRequest()),  # type: ignore[attr-defined]
                runs=30,
            )
            detail = f"an empty call: {nothing * 1e3:.2f} ms"
            rows.append(limit_row(f"LoadPipeline {name}, warm", load * 1e3, 50, "ms", detail))
    return rows
