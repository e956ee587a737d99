"""Nodes that read and write arrays of NumPy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.invalid import Invalid
from swath.engine.graph.node import Node
from swath.engine.graph.ports import Port, ports
from swath.engine.mixins.files import FileInput


class NpyReader(Node):
    """Gives the array of a ``.npy`` file, the same in every call.

    ``[C]`` becomes ``[1, 1, 1, C]``, ``[N, C]`` becomes ``[N, 1, 1, C]`` and ``[H, W, C]`` becomes ``[1, H, W, C]``.
    The array is part of the weights: where they hold one, the file is not read.

    Args:
        file_path: The file, real numbers of 1 to 4 dimensions.
    """

    category = "source"
    tags = ("metadata",)
    inputs = ports(frame_id=Port(torch.int64, (1,), optional=True, description="Takes no part [1]"))
    outputs = ports(data=Port(torch.float32, (-1, -1, -1, -1), description="The array [B, H, W, C]"))
    optional_state = ("_data_buf",)

    _data_buf: Tensor | None
    _place: Tensor

    def __init__(self, file_path: str) -> None:
        super().__init__()
        self._file = FileInput(file_path, "array of NumPy", _read)
        self._restored = False
        self._held: Tensor | None = None
        self.register_buffer("_data_buf", None)
        self.register_buffer("_place", torch.empty(0), persistent=False)

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        if not self._restored:
            with torch.inference_mode(False):
                array = self._file.read(self, context)
                if array is not self._held:
                    self._held, self._data_buf = array, array.to(self._place.device)
        return {"data": self._data_buf}

    def restore(self, state: Any) -> None:
        super().restore(state)
        self._restored = self._restored or "_data_buf" in state

    def _restore_optional(self, key: str, value: Tensor) -> None:
        self._data_buf = value.detach().clone().to(self._place.device)


class NumpyFeatureWriterNode(Node):
    """Writes the features of each frame to ``<prefix>_<frame number of six digits>.npy``.

    A batch of one is written without its first dimension.

    Args:
        output_dir: Folder of the files.
        prefix: Start of their names.
    """

    category = "sink"
    tags = ("embedding", "metadata")
    invalid = Invalid.PASSED
    effect = True
    inputs = ports(
        features=Port(torch.float32, (-1, -1, -1), description="Features [B, N, D]"),
        frame_id=Port(torch.int64, (1,), description="Number of the frame [1]"),
    )

    def __init__(self, output_dir: str, prefix: str = "features") -> None:
        super().__init__()
        self.folder = str(output_dir)
        self.prefix = str(prefix)
        if Path(self.prefix).name != self.prefix:
            raise ValueError(f"prefix must be the start of a file's name, got {prefix!r}")

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        features: Tensor = inputs["features"]
        target = context.resolve(str(Path(self.folder) / f"{self.prefix}_{int(inputs['frame_id']):06d}.npy"))
        target.parent.mkdir(parents=True, exist_ok=True)
        np.save(target, features.detach().squeeze(0).cpu().numpy())
        return {}


def _read(path: Path) -> Tensor:
    array = np.load(path, allow_pickle=False)
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "buif":
        raise ValueError(f"expected an array of real numbers, got {getattr(array, 'dtype', type(array).__name__)}")
    if not 1 <= array.ndim <= 4:
        raise ValueError(f"expected 1 to 4 dimensions, got shape {list(array.shape)}")
    shape = (array.shape[0], 1, 1, array.shape[1]) if array.ndim == 2 else (1,) * (4 - array.ndim) + array.shape
    return torch.from_numpy(np.array(array, dtype=np.float32, order="C").reshape(shape))
