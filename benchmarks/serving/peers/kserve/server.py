"""KServe: a model class over the bare models, served by its model server."""

from __future__ import annotations

from typing import Any

import numpy as np
from kserve import InferOutput, InferRequest, InferResponse, Model, ModelServer

from benchmarks.serving.models import MODELS
from benchmarks.serving.peers.environment import PORT, SECOND_PORT, bare


class Served(Model):
    """One of the bare models."""

    def __init__(self, name: str, models: Any) -> None:
        super().__init__(name)
        self._models = models
        self.ready = True

    def load(self) -> bool:
        return self.ready

    async def predict(self, payload: InferRequest, *_: Any, **__: Any) -> InferResponse:
        answer = self._models.answer(self.name, payload.inputs[0].as_numpy())
        output = InferOutput("y", list(answer.shape), "FP32")
        output.set_data_from_numpy(np.ascontiguousarray(answer), binary_data=True)
        return InferResponse(payload.id, self.name, [output])


if __name__ == "__main__":
    largest = str(2**31 - 1)
    # Limits on messages are arguments of its command line, which it reads itself.
    served = bare()
    ModelServer(http_port=SECOND_PORT, grpc_port=PORT, enable_grpc=True, enable_latency_logging=False).start(
        [Served(name, served) for name in MODELS]
    )
