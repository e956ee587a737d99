"""Weights of the models, fitted to the San Diego scene or random: as arrays for peers, and as weights files."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import torch

from benchmarks.harness import scene
from benchmarks.serving.models import CHANNELS, EMBEDDING, HIDDEN, MODELS

ARRAYS = "weights.npz"


def write(folder: Path) -> None:
    """Write `weights.npz` for the bare models, and ``<model>.pt`` for pipelines of models that have weights."""
    pixels = scene()[0].reshape(-1, CHANNELS).astype(np.float64)
    mu = pixels.mean(0)
    covariance = np.cov(pixels, rowvar=False) + 1e-6 * np.eye(CHANNELS)
    inverse = np.linalg.inv(covariance)
    random = np.random.default_rng(13)
    w1 = random.normal(0, CHANNELS**-0.5, (HIDDEN, CHANNELS)).astype(np.float32)
    b1 = random.normal(0, 0.1, HIDDEN).astype(np.float32)
    w2 = random.normal(0, HIDDEN**-0.5, (EMBEDDING, HIDDEN)).astype(np.float32)
    np.savez(folder / ARRAYS, mu=mu, whitening=np.linalg.cholesky(inverse), w1=w1, b1=b1, w2=w2)
    _save(folder, "rx", {"mu": mu, "cov": covariance, "cov_inv": inverse, "fitted": np.asarray(True)})
    _save(folder, "mlp", {"net.fc1.weight": w1, "net.fc1.bias": b1, "net.fc2.weight": w2})


def weights_file(folder: Path, model: str) -> bytes | None:
    """Return the weights file of a model, None if it has no weights."""
    file = folder / f"{model}.pt"
    return file.read_bytes() if file.exists() else None


def document(model: str) -> dict[str, object]:
    """Return the pipeline that computes a model."""
    node = MODELS[model]
    return {
        "metadata": {"name": f"bench_{model}"},
        "nodes": [{"name": model, "class_name": node.class_name, "hparams": node.hparams}],
        "connections": [],
    }


def _save(folder: Path, node: str, arrays: dict[str, np.ndarray]) -> None:
    buffer = io.BytesIO()
    state = {name: torch.from_numpy(array) for name, array in arrays.items()}
    torch.save({"state_dict": {node: state}, "metadata": {}}, buffer)
    (folder / f"{node}.pt").write_bytes(buffer.getvalue())
