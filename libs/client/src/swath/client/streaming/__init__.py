"""Inference over streams: frames one after the other, and cubes in pieces."""

from swath.client.streaming.cubes import CubeRows
from swath.client.streaming.frames import AsyncInferenceStream, FrameResult, InferenceStream

__all__ = ["AsyncInferenceStream", "CubeRows", "FrameResult", "InferenceStream"]
