"""Triton Inference Server, started by PyTriton with the bare models as Python functions."""

from __future__ import annotations

from typing import Any

import numpy as np
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig, TritonSecurityConfig

from benchmarks.serving.models import MODELS, Model
from benchmarks.serving.peers.environment import BATCH, BATCH_DELAY_S, PORT, SECOND_PORT, bare

_models = bare()


def _bind(triton: Triton, name: str, model: Model) -> None:
    def infer(requests: list[Any]) -> list[dict[str, np.ndarray]]:
        given = [request["x"] for request in requests]
        # One needs no copy.
        answers = _models.answer(name, given[0] if len(given) == 1 else np.concatenate(given))
        ends = np.cumsum([len(x) for x in given])[:-1]
        return [{"y": answer} for answer in np.split(answers, ends)]

    # The dimension of the batch is not among those of a model that merges.
    tensor = {"dtype": np.float32, "shape": (-1,) * (3 if model.small else 4)}
    batcher = DynamicBatcher(max_queue_delay_microseconds=int(BATCH_DELAY_S * 1e6) if model.batched else 0)
    triton.bind(
        model_name=name,
        infer_func=infer,
        inputs=[Tensor(name="x", **tensor)],
        outputs=[Tensor(name="y", **tensor)],
        config=ModelConfig(batching=True, max_batch_size=BATCH, batcher=batcher)
        if model.small
        else ModelConfig(batching=False),
    )


if __name__ == "__main__":
    config = TritonConfig(grpc_port=PORT, http_port=SECOND_PORT, allow_metrics=False, grpc_address="127.0.0.1")
    # Shared memory asks for a token otherwise.
    with Triton(config=config, security_config=TritonSecurityConfig(restricted_endpoints=[])) as running:
        # The first one is asked for first: it is there last.
        for served, model in reversed(MODELS.items()):
            _bind(running, served, model)
        running.serve()
