"""A projection that was worked out elsewhere."""

from __future__ import annotations

import threading
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from swath.engine.graph.context import Context
from swath.engine.graph.independence import Independence
from swath.engine.graph.invalid import Invalid
from swath.engine.graph.node import Node
from swath.engine.graph.ports import Port, ports
from swath.engine.mixins.bounds import to_unit
from swath.errors import DataInvalid, FileMissing, NotFitted

_EPS = 1e-6
_reading = threading.Lock()


class FixedPCAProjection(Node):
    """``y = (x - mean) C^T`` with mean and directions C from a file, scaled to about 0 to 1.

    The file is a NumPy archive (npz) of ``mean [C]``, ``comps [N, C]``, ``lo [N]`` and ``hi [N]``, and maybe
    ``explained [N]``, the variance along each direction. It is read when it is first needed, and then is state: weights
    that hold it need no file.

    Args:
        projection_path: The file.
        scale_to_unit: Whether coordinates become ``(y - lo) / (hi - lo)``; a span of 0 counts as 1.
        clamp01: Whether they are cut to 0 to 1.
        input_global_minmax: Whether each frame is scaled to 0 to 1 by its own least and largest value first.
    """

    category = "transform"
    tags = ("hyperspectral", "dim_reduction", "preprocessing", "torch")
    invalid = Invalid.FRAMES
    inputs = ports(data=Port(torch.float32, (-1, -1, -1, -1), description="Cube [B, H, W, C]"))
    outputs = ports(projected=Port(torch.float32, (-1, -1, -1, -1), description="Coordinates [B, H, W, N]"))
    trainable_buffers = ("_components",)
    optional_state = ("_mean", "_explained_variance", "_components", "_lo", "_hi")

    _mean: Tensor
    _components: Tensor
    _lo: Tensor
    _hi: Tensor

    def __init__(
        self,
        projection_path: str,
        scale_to_unit: bool = True,
        clamp01: bool = True,
        input_global_minmax: bool = True,
    ) -> None:
        super().__init__()
        self.path = str(projection_path)
        self.scale = bool(scale_to_unit)
        self.clamp = bool(clamp01)
        self.spread = bool(input_global_minmax)
        self.independence = Independence.FRAME if self.spread else Independence.PIXEL

    @property
    def _known(self) -> bool:
        return all(hasattr(self, key) for key in self.optional_state)

    def faults(self, state: Mapping[str, Tensor], *, strict: bool) -> list[str]:
        faults = super().faults(state, strict=strict)
        if self._known or not set(self.optional_state) & set(state):
            return faults
        missing = [key for key in self.optional_state if key not in state]
        faults += [f"{self.name}.{key} is missing" for key in missing]
        if not missing and (misfit := _misfit({key: state[key].shape for key in self.optional_state})):
            faults.append(f"{self.name}: {misfit}")
        return faults

    def _restore_optional(self, key: str, value: Tensor) -> None:
        self.register_buffer(key, value.detach().clone().to(torch.float32))

    def unfreeze(self) -> None:
        if not self._known:
            raise NotFitted(
                f"Node '{self.name}' ({type(self).__name__}) has not read its projection yet, so there is nothing to "
                "train: load weights that hold it, or run the pipeline once",
                metadata={"node": self.name},
            )
        super().unfreeze()

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        data: Tensor = inputs["data"]
        if not self._known:
            with _reading:
                self._read(context.resolve(self.path), data.device)
        if data.shape[-1] != self._mean.shape[0]:
            raise self.refuse("data", f"{self._mean.shape[0]} channels, as the projection has", data)
        if self.spread and data.numel():
            low, high = data.amin(dim=(1, 2, 3), keepdim=True), data.amax(dim=(1, 2, 3), keepdim=True)
            data = to_unit(data, low, high, _EPS)
        projected = (data - self._mean) @ self._components.T
        if self.scale:
            span = self._hi - self._lo
            projected = (projected - self._lo) / torch.where(span == 0, 1, span)
        return {"projected": projected.clamp(0, 1) if self.clamp else projected}

    def _read(self, path: Path, device: torch.device) -> None:
        if self._known:  # by another call that was quicker
            return
        projection = _load(path, f"Node '{self.name}': projection_path '{self.path}'")
        with torch.inference_mode(False):
            for key, values in zip(self.optional_state, projection, strict=True):
                self.register_buffer(key, torch.from_numpy(values).to(device))


class _Projection(NamedTuple):
    mean: NDArray[np.float32]
    explained: NDArray[np.float32]
    components: NDArray[np.float32]
    low: NDArray[np.float32]
    high: NDArray[np.float32]


def _load(path: Path, what: str) -> _Projection:
    if not path.is_file():
        raise FileMissing(f"{what} does not exist", metadata={"path": str(path)})
    try:
        # Opened here: np.load leaves a file that is no archive open.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            values = {key: np.asarray(archive[key], dtype=np.float32) for key in archive.files}
    except (OSError, EOFError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise DataInvalid(f"{what} is no NumPy archive of numbers: {error}") from error
    missing = sorted({"mean", "comps", "lo", "hi"} - set(values))
    if missing:
        raise DataInvalid(f"{what} has no {', '.join(missing)}; expected mean, comps, lo and hi, got {sorted(values)}")
    shapes = {f"_{key}": values[key].shape for key in ("mean", "lo", "hi")} | {"_components": values["comps"].shape}
    if _misfit(shapes):
        raise DataInvalid(f"{what} must hold comps [N, C], mean [C], lo [N] and hi [N]: {_misfit(shapes)}")
    none = np.zeros_like(values["lo"])
    explained = values.get("explained", none)
    # A file may hold the variances of more directions than were kept.
    return _Projection(
        mean=values["mean"],
        explained=explained if explained.shape == none.shape else none,
        components=values["comps"],
        low=values["lo"],
        high=values["hi"],
    )


def _misfit(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Say which shapes of a projection do not go together; empty when they do."""
    components = shapes["_components"]
    if len(components) != 2:
        return f"_components has shape {list(components)}, expected [N, C]"
    sizes = {"_mean": components[1], "_lo": components[0], "_hi": components[0], "_explained_variance": components[0]}
    wrong = [key for key, shape in shapes.items() if key in sizes and tuple(shape) != (sizes[key],)]
    return "; ".join(f"{key} has shape {list(shapes[key])}, expected [{sizes[key]}]" for key in wrong)
