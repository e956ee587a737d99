"""A replica of any service, as the gateway sees one: writes each call down and answers all alike.

    python replica.py PORT LOG MODE

MODE is one of MODES below.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from swath.api import SERVICES
from swath.rpc.metadata import MAX_METADATA_BYTES, ROOM_BYTES, metadata_options

MODES = ("answers", "refuses", "dies", "hangs", "waits", "late", "leaves")
"""What becomes of a call: an empty answer, UNAVAILABLE, the end of the process, an answer after a second, or after the
last request. Those of the last two are answered; their health is told late after a few times, or is NOT_SERVING from
the first call on."""

PROMPT = 20
"""Questions for health that one who is late answers in time."""


class Replica(grpc.GenericRpcHandler):
    def __init__(self, log: Path, mode: str, servicer: health.HealthServicer) -> None:
        self._log = log
        self._mode = mode
        self._health = servicer
        self._lock = threading.Lock()

    def service(self, handler_call_details: Any) -> grpc.RpcMethodHandler:
        def answer(requests: Any, context: grpc.ServicerContext) -> Any:
            metadata = {str(key): str(value) for key, value in context.invocation_metadata()}
            line = json.dumps({"method": handler_call_details.method, "metadata": metadata})
            with self._lock, self._log.open("a") as log:
                log.write(f"{line}\n")
            if self._mode == "refuses":
                context.abort(grpc.StatusCode.UNAVAILABLE, "go away")
            if self._mode == "dies":
                os._exit(1)
            if self._mode == "hangs":
                time.sleep(1.0)
            if self._mode == "waits":
                list(requests)
            if self._mode == "leaves":
                self._health.enter_graceful_shutdown()
            if answer_bytes := int(metadata.get("answer-bytes", 0)):
                context.set_trailing_metadata((("answer", "y" * answer_bytes),))
            yield b""

        return grpc.stream_stream_rpc_method_handler(answer)


class LateHealth(health.HealthServicer):
    def __init__(self) -> None:
        super().__init__()
        self._asked = 0

    def Check(self, request: Any, context: Any) -> Any:
        self._asked += 1
        if self._asked > PROMPT:
            time.sleep(8.0)
        return super().Check(request, context)


def main() -> None:
    port, log, mode = sys.argv[1:]
    assert mode in MODES
    limits = metadata_options(MAX_METADATA_BYTES + ROOM_BYTES)
    server = grpc.server(ThreadPoolExecutor(32), options=[("grpc.so_reuseport", 0), *limits])
    servicer = LateHealth() if mode == "late" else health.HealthServicer()
    for each in SERVICES:
        servicer.set(each.health_name, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    server.add_generic_rpc_handlers((Replica(Path(log), mode, servicer),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
