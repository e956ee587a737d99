"""A user's module: what is deployed, and what can be told of it afterwards."""

import asyncio
import os
import time

import grpc
from wire_probe_pb2 import Answer

from swath import serve


@serve.deployment(max_ongoing_requests=20)
class App:
    """Ends calls as a request asks."""

    def __init__(self) -> None:
        self.steps = 0
        self.cut: list[str] = []

    def Unary(self, request, grpc_context):
        match request.what:
            case "steps":
                return Answer(number=self.steps, text=" ".join(self.cut))
            case "raise":
                raise FileNotFoundError(f"cannot open {os.path.abspath(__file__)}: \x1b[31mgone\x1b[0m")
            case "ok and raise":
                grpc_context.set_code(grpc.StatusCode.OK)
                raise ValueError("why")
            case "set":
                grpc_context.set_code(grpc.StatusCode.DATA_LOSS)
                grpc_context.set_details("é, 100 %\nend")
            case "set ok":
                grpc_context.set_details("foo found.")
                grpc_context.set_trailing_metadata([("num", "0")])
            case "exit":
                os._exit(7)
            case "sleep":
                time.sleep(request.number / 1000)
        return Answer(number=os.getpid(), text=request.what)

    def Server(self, request, grpc_context):
        self.steps = 0
        for number in range(request.number):
            self.steps += 1
            yield Answer(number=number, data=request.data)
            if request.what == "slowly":
                time.sleep(0.05)
        if request.what == "late":
            time.sleep(0.05)
            grpc_context.set_code(grpc.StatusCode.DATA_LOSS)

    async def Client(self, stream):
        total = 0
        try:
            async for each in stream:
                total += each.number
        except asyncio.CancelledError:
            self.cut.append(f"cancelled={stream.is_cancelled()},exhausted={stream.is_exhausted}")
            raise
        self.cut.append("end")
        return Answer(number=total)

    async def Bidi(self, stream):
        async for each in stream:
            yield Answer(number=each.number)


@serve.deployment(max_ongoing_requests=1, max_queued_requests=1)
class Narrow:
    """One call at a time, one in the queue."""

    def Unary(self, request):
        time.sleep(request.number / 1000)
        return Answer(text=request.what)


app, narrow = App.bind(), Narrow.bind()
