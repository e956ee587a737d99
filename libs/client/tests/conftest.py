"""A small server that answers as the tests tell it, for what a real one does too seldom: going away."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.cuvis_ai.v1 import cuvis_ai_pb2_grpc as pb_grpc
from swath.training.v1 import runs_pb2, runs_pb2_grpc


class Flaky(pb_grpc.CuvisAIServiceServicer):
    """Sends ten training messages, and breaks off after each one in `cuts`."""

    def __init__(self) -> None:
        self.cuts: list[int] = []
        self.asked: list[dict[str, Any]] = []
        self.stumbles = 0

    def Train(self, request: pb.TrainRequest, context: grpc.ServicerContext) -> Iterator[pb.TrainResponse]:
        asked = {key: value for key, value in context.invocation_metadata() if key.startswith("swath-")}
        self.asked.append(asked)
        context.send_initial_metadata((("swath-run-id", "run-1"),))
        for seq in range(int(asked.get("swath-after-seq", 0)) + 1, 11):
            yield pb.TrainResponse(status=pb.TRAIN_STATUS_RUNNING, message=f"message {seq}")
            if seq in self.cuts:
                self.cuts.remove(seq)
                context.abort(grpc.StatusCode.UNAVAILABLE, "shutting down")

    def GetTrainStatus(self, request: Any, context: grpc.ServicerContext) -> pb.GetTrainStatusResponse:
        if self.stumbles:
            self.stumbles -= 1
            context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
        return pb.GetTrainStatusResponse()

    def CloseSession(self, request: Any, context: grpc.ServicerContext) -> pb.CloseSessionResponse:
        info = error_details_pb2.ErrorInfo(reason="SESSION_NOT_FOUND", domain="swath", metadata={"session": "s1"})
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(1500)
        packed = [any_pb2.Any() for _ in range(2)]
        packed[0].Pack(retry)
        packed[1].Pack(info)
        status = status_pb2.Status(code=code_pb2.NOT_FOUND, message="Session s1 not found", details=packed)
        context.abort_with_status(rpc_status.to_status(status))
        return pb.CloseSessionResponse()


class FlakyRuns(runs_pb2_grpc.RunServiceServicer):
    """Has a run with six lines, of which the third was dropped, and breaks off after the second, once."""

    def __init__(self) -> None:
        self.asked: list[runs_pb2.ReadLogsRequest] = []

    def ReadLogs(
        self, request: runs_pb2.ReadLogsRequest, context: grpc.ServicerContext
    ) -> Iterator[runs_pb2.ReadLogsResponse]:
        self.asked.append(request)
        if request.run_id != "run-1":
            context.abort(grpc.StatusCode.NOT_FOUND, f"Run {request.run_id} not found")
        for number in sorted({1, 2, 4, 5, 6} - set(range(request.after + 1))):
            line = runs_pb2.LogLine(number=number, attempt=1 + number // 4, level="info", text=f"line {number}")
            line.time.FromSeconds(1_700_000_000 + number)
            if number == 6:
                line.level, line.exception = "error", "Traceback ...\nValueError: no band"
                line.facts["node"] = "rx"
            yield runs_pb2.ReadLogsResponse(lines=[line])
            if (number, len(self.asked)) == (2, 1):
                context.abort(grpc.StatusCode.UNAVAILABLE, "shutting down")


@pytest.fixture
def flaky_runs() -> FlakyRuns:
    return FlakyRuns()


@pytest.fixture
def flaky(flaky_runs: FlakyRuns) -> Iterator[tuple[Flaky, str]]:
    """The servicer and its target."""
    servicer = Flaky()
    server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
    pb_grpc.add_CuvisAIServiceServicer_to_server(servicer, server)
    runs_pb2_grpc.add_RunServiceServicer_to_server(flaky_runs, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield servicer, f"127.0.0.1:{port}"
    server.stop(None).wait()
