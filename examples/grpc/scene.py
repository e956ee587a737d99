"""What all examples here need: a scene, on the server and in memory."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from swath.client import Client, read_scenes

SCENE = Path(__file__).resolve().parents[1] / "data" / "san_diego.npz"


def add_scene_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--target`` (also ``--server``) and ``--scene``."""
    parser.add_argument("--target", "--server", default="localhost:50051", help="gRPC target, host:port")
    parser.add_argument("--scene", type=Path, default=SCENE, help="scene to train and infer on (npz, ENVI, MAT, TIFF)")


def upload_scene(target: str, scene: Path) -> None:
    """Put the scene where the shipped configs look for it: ``data/`` of the server's workspace."""
    with Client(target) as client:
        entry = client.workspace.put(scene, f"data/{scene.name}")
    print(f"Scene at {entry.path}, {entry.size / 1e6:.1f} MB")


def scene_batch(scene: Path) -> tuple[np.ndarray, np.ndarray]:
    """The scene as a batch of one: cube [1, H, W, C] and wavelengths [1, C] in whole nm."""
    inputs = next(read_scenes(scene)).inputs()
    return inputs["cube"], inputs["wavelengths"]
