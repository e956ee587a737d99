"""Settings of the inference service."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class InferenceSettings(BaseSettings):
    """What the inference service holds and takes. Each field is also a variable `SWATH_INFERENCE_<FIELD>`."""

    model_config = SettingsConfigDict(
        env_prefix="SWATH_INFERENCE_", frozen=True, extra="ignore", use_attribute_docstrings=True
    )

    device: str = "auto"
    """Torch device that models run on, such as cpu or cuda:0; auto takes the first GPU there is, else the CPU."""
    cache_bytes: int = Field(default=4 * 1024**3, ge=0)
    """Parameters and buffers of models kept loaded, in bytes; the least recently used goes first."""
    queue_limit: int = Field(default=256, ge=1)
    """Calls that may wait for the device; more are refused with RESOURCE_EXHAUSTED."""
    frames_ahead: int = Field(default=4, ge=1)
    """Frames of a StreamInfer that are read ahead of the answer that is due; what follows waits on its way."""
    tile_bytes: int = Field(default=4 * 1024**2, ge=1)
    """Parts that InferCube computes a cube in, in bytes of the cube; one row of one item is the least."""
    cube_bytes: int = Field(default=1024**3, ge=1)
    """Parts of cubes in memory at a time, all InferCube calls together, in bytes of the cubes. A pipeline whose pixels
    depend on one another needs whole frames, or the whole cube, in there."""
    cube_wait_s: float = Field(default=60.0, gt=0)
    """Seconds that InferCube waits for the next chunk."""
