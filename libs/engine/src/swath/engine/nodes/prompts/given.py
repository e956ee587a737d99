"""Prompts that stand in the document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from swath.engine.graph.context import Context
from swath.engine.graph.node import Node
from swath.engine.graph.ports import LIST, TEXT, Port, ports
from swath.engine.hparams import choice, number, whole

FRAME = ports(frame_id=Port(torch.int64, (1,), description="Number of the frame [1]"))


class TextPrompt(Node):
    """Gives a text at some frames, an empty one at others.

    Args:
        prompt_specs: ``<text>@<frame>``, or ``<text>`` for frame 0.
        prompt_mode: ``scheduled`` for those frames alone, ``repeat`` for each text to stay until the next.
    """

    category = "source"
    tags = ("text", "inference", "metadata")
    inputs = FRAME
    outputs = ports(text_prompt=Port(TEXT, description="The text"))

    def __init__(self, prompt_specs: Sequence[str] | None = None, prompt_mode: str = "scheduled") -> None:
        super().__init__()
        self.repeat = choice("prompt_mode", str(prompt_mode).strip().lower(), ("scheduled", "repeat")) == "repeat"
        self.texts: dict[int, str] = {}
        for spec in prompt_specs or ():
            frame, text = _text(spec)
            if self.texts.setdefault(frame, text) != text:
                raise ValueError(f"prompt_specs must hold one text a frame, got two at frame {frame}: {spec!r}")

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        frame = int(inputs["frame_id"])
        if self.repeat:
            frame = max((at for at in self.texts if at <= frame), default=frame)
        return {"text_prompt": self.texts.get(frame, "")}


class PointPrompt(Node):
    """Gives points at one frame, none at others.

    Args:
        points: ``[x, y]``, ``[x, y, type]``, or mappings of ``x``, ``y``, and ``type`` and ``element_id`` if need be;
            pixels. A type is ``positive``, ``negative`` or ``neutral``.
        prompt_frame_id: The frame.
    """

    category = "source"
    tags = ("keypoints", "inference", "metadata")
    inputs = FRAME
    outputs = ports(points=Port(LIST, description="Mappings of element_id, x, y and type"))

    def __init__(self, points: Sequence[Any], prompt_frame_id: int) -> None:
        super().__init__()
        self.frame = whole("prompt_frame_id", prompt_frame_id, at_least=-(2**63))
        self.points = [_point(point) for point in points or ()]

    def run(self, inputs: dict[str, Any], context: Context) -> dict[str, Any]:
        shown = self.points if int(inputs["frame_id"]) == self.frame else []
        return {"points": [dict(point) for point in shown]}


def _text(spec: Any) -> tuple[int, str]:
    before, at, after = str(spec).strip().rpartition("@")
    text, frame = (before.strip(), after.strip()) if at else (after, "0")
    if not isinstance(spec, str) or not text or not frame.isdecimal():
        raise ValueError(f"prompt_specs must be texts such as '<text>@<frame>', got {spec!r}")
    return int(frame), text


def _point(point: Any) -> dict[str, Any]:
    parts: Any = point
    if isinstance(point, Sequence) and not isinstance(point, str) and len(point) in (2, 3):
        parts = dict(zip(("x", "y", "type"), point, strict=False))
    if not isinstance(parts, Mapping) or not {"x", "y"} <= set(parts):
        raise ValueError(f"points must be [x, y], [x, y, type] or mappings of x and y, got {point!r}")
    return {
        "element_id": whole("element_id of points", parts.get("element_id", 0), at_least=0),
        "x": number("x of points", parts["x"]),
        "y": number("y of points", parts["y"]),
        "type": choice(
            "type of points", str(parts.get("type", "positive")).lower(), ("positive", "negative", "neutral")
        ),
    }
