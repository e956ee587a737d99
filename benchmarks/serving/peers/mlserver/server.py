"""MLServer: a runtime over the bare models, in the server's own process."""

from __future__ import annotations

import asyncio

import numpy as np
from mlserver import MLModel, MLServer, ModelSettings, Settings
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceRequest, InferenceResponse

from benchmarks.serving.models import MODELS
from benchmarks.serving.peers.environment import BATCH, BATCH_DELAY_S, FOLDER, PORT, SECOND_PORT, bare

_models = bare()


class Served(MLModel):
    """One of the bare models."""

    async def load(self) -> bool:
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        array = NumpyCodec.decode_input(payload.inputs[0]).astype(np.float32, copy=False)
        output = NumpyCodec.encode_output("y", _models.answer(self.name, array))
        return InferenceResponse(id=payload.id, model_name=self.name, outputs=[output])


async def _serve() -> None:
    settings = Settings(
        debug=False,
        parallel_workers=0,
        grpc_port=PORT,
        http_port=SECOND_PORT,
        host="127.0.0.1",
        grpc_max_message_length=2**31 - 1,
        metrics_endpoint=None,
        metrics_dir=str(FOLDER),
        load_models_at_startup=True,
    )
    server = MLServer(settings)
    merged = {"max_batch_size": BATCH, "max_batch_time": BATCH_DELAY_S}
    models = [
        ModelSettings(name=name, implementation=Served, **(merged if model.batched else {}))
        for name, model in MODELS.items()
    ]
    await server.start(models)


if __name__ == "__main__":
    asyncio.run(_serve())
