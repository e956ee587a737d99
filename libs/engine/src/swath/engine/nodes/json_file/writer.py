"""What nodes that write JSON have in common."""

from __future__ import annotations

import weakref
from typing import Any, Protocol

from swath.engine.graph.context import Context
from swath.engine.graph.node import Node
from swath.engine.hparams import whole
from swath.engine.mixins.files import JsonOutput


class Frames(Protocol):
    """Frames that a file is made of, by their numbers."""

    def document(self, stem: str) -> dict[str, Any]:
        """Return what the file of a name is to hold."""
        ...


class _JsonWriter(Node):
    """A node that collects frames and writes them into one JSON file.

    The file is written after every `flush_interval` frames and when the pipeline is closed. A frame that comes again
    replaces the former one.
    """

    category = "sink"
    effect = True

    def __init__(
        self,
        frames: Frames,
        output_json_path: str,
        write_empty_frames: bool,
        atomic_write: bool,
        flush_interval: int,
    ) -> None:
        super().__init__()
        if not output_json_path:
            raise ValueError("output_json_path must not be empty")
        self._frames = frames
        self.path = str(output_json_path)
        self.write_empty = bool(write_empty_frames)
        self.atomic = bool(atomic_write)
        self.interval = whole("flush_interval", flush_interval, at_least=0)
        self._file: JsonOutput | None = None

    def changed(self, context: Context) -> None:
        """Count a frame, and write the file when it is time."""
        if self._file is None:
            place, frames = context.resolve(self.path), self._frames
            self._file = JsonOutput(place, lambda: frames.document(place.stem), atomic=self.atomic)
            # A pipeline that is dropped leaves a whole file.
            weakref.finalize(self, self._file.flush)
        self._file.pending += 1
        if self.interval and self._file.pending >= self.interval:
            self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            self._file.flush()

    def require_as_many(self, inputs: dict[str, Any], first: str, *others: str) -> None:
        """Raise InputInvalid unless ports ``[1, N, ...]`` hold as many objects."""
        count = inputs[first].shape[1]
        for port in others:
            if port in inputs and inputs[port].shape[1] != count:
                raise self.refuse(port, f"{count} entries, one per entry of {first}", inputs[port])

    def require_finite(self, inputs: dict[str, Any], *names: str) -> None:
        """Raise InputInvalid for numbers that JSON cannot hold."""
        for port in names:
            if not bool(inputs[port].isfinite().all()):
                raise self.refuse(port, "finite numbers", inputs[port])


def images(sizes: dict[int, tuple[int, int]]) -> list[dict[str, Any]]:
    """Return COCO's records of frames, by number, from heights and widths."""
    return [
        {"id": number, "file_name": f"frame_{number:06d}", "height": height, "width": width}
        for number, (height, width) in sorted(sizes.items())
    ]


def categories(names: dict[int, str]) -> list[dict[str, Any]]:
    """Return COCO's records of categories, by number."""
    return [{"id": number, "name": name} for number, name in sorted(names.items())]
