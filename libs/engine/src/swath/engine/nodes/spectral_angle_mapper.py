"""The angle between spectra.

Source: F. A. Kruse et al., "The spectral image processing system (SIPS)", Remote Sensing of Environment 44, 1993.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from swath.engine.checks import channels, number
from swath.engine.context import Context
from swath.engine.node import Node
from swath.engine.ports import Port, ports


class SpectralAngleMapper(Node):
    """Angle between each pixel and each of N reference spectra, both first divided by their own mean.

    For spectra of positive mean the division changes nothing; a pixel or reference of negative mean is turned round.
    The angle is pi / 2 where either is zero.

    Args:
        num_channels: Channels C that the cube must have; any number when left out.
        eps: Added to the means.
    """

    category = "model"
    tags = ("hyperspectral", "classification")
    inputs = ports(
        cube=Port(torch.float32, (-1, -1, -1, "num_channels"), description="Cube [B, H, W, C]"),
        spectral_signature=Port(torch.float32, (-1, -1, -1, -1), description="Reference spectra [N, 1, 1, C]"),
    )
    outputs = ports(
        scores=Port(torch.float32, (-1, -1, -1, -1), description="Angles, radians [B, H, W, N]"),
        best_scores=Port(torch.float32, (-1, -1, -1, 1), description="Least angle, radians [B, H, W, 1]"),
        identity_mask=Port(torch.int32, (-1, -1, -1), description="Nearest reference, from 1 [B, H, W]"),
    )

    def __init__(self, num_channels: int | None = None, eps: float = 1e-12) -> None:
        super().__init__()
        self.num_channels = None if num_channels is None else channels("num_channels", num_channels)
        self.eps = number("eps", eps, at_least=0)

    @torch.no_grad()
    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        cube: Tensor = inputs["cube"]
        signature: Tensor = inputs["spectral_signature"]
        channels = cube.shape[-1]
        if signature.shape[0] == 0 or tuple(signature.shape[1:]) != (1, 1, channels):
            raise self.refuse("spectral_signature", f"reference spectra [N,1,1,{channels}], at least one", signature)
        references = signature.reshape(-1, channels)
        with torch.autocast(cube.device.type, enabled=False):
            cosines = cube @ references.T
        # Only the sign of a mean is left of a division by it once the norms are divided out.
        cosines *= self._scale(cube)
        cosines *= self._scale(references).T
        angles = cosines.clamp_(-1, 1).acos_()
        best, index = angles.min(dim=-1, keepdim=True)
        return {
            "scores": angles,
            "best_scores": best,
            "identity_mask": index.squeeze(-1).to(torch.int32) + 1,
        }

    def _scale(self, spectra: Tensor) -> Tensor:
        norm = torch.linalg.vector_norm(spectra, dim=-1, keepdim=True)
        sign = (spectra.mean(dim=-1, keepdim=True) + self.eps).sign()
        return torch.where(norm > 0, sign / norm, torch.where(norm == 0, 0.0, norm))
