"""Nodes that hand prompts to models at given frames."""

from swath.engine.nodes.prompts.detections import BBoxPrompt, MaskPrompt
from swath.engine.nodes.prompts.given import PointPrompt, TextPrompt

__all__ = ["BBoxPrompt", "MaskPrompt", "PointPrompt", "TextPrompt"]
