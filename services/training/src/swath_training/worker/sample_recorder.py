"""What a run says of single samples, on its way to the artifact store."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from swath.engine.data import DataModule
from swath_training.runs.items import File

if TYPE_CHECKING:
    from swath.samples.manifest import Sample


class SampleRecorder:
    """Lists a run's samples when it starts, and gathers their signals; what was gathered goes with each checkpoint.

    So an attempt that goes on from a checkpoint goes on with its signals as well: none is missing, and what is measured
    again has the same sample and step.

    Args:
        put: Stores an artifact and returns its digest.
        send: Sends an item to the service.
        shown: Returns a text with the paths in it as clients know them.
    """

    def __init__(self, put: Callable[[bytes], str], send: Callable[[File], None], shown: Callable[[str], str]) -> None:
        # Only here: a worker is forked from a process that has imported all else, and Polars has threads of its own.
        from swath.samples import signals

        self._put, self._send, self._shown = put, send, shown
        self._new_segment = signals.SegmentWriter
        self._segment = signals.SegmentWriter()
        self._ids: dict[int, str] = {}
        self._lock = threading.Lock()
        self._cut: list[tuple[int, Any]] = []

    def begin(self, data: DataModule) -> None:
        """List the samples of the data; a module that cannot name its own has none."""
        from swath.samples import manifest

        listed: dict[str, Sample] = {}
        for position, sample in self._samples(data):
            self._ids[position] = sample.id
            listed.setdefault(sample.id, sample)
        if listed:
            written = manifest.write(listed.values())
            self._send(File("samples", self._put(written), len(listed), 0, 0, 1))

    def _samples(self, data: DataModule) -> Iterator[tuple[int, Sample]]:
        from swath.samples.manifest import Sample

        list_samples = getattr(data, "samples", None)
        if list_samples is None:
            return
        for split in data.splits:
            for frame in list_samples(split):
                top, bottom, left, right = frame.extent or (0, 0, 0, 0)
                yield (
                    frame.position,
                    Sample(
                        origin=split,
                        source=self._shown(str(frame.file)),
                        # The number of a tile is none of a frame.
                        frame=0 if frame.extent else frame.index or 0,
                        x=left,
                        y=top,
                        width=right - left,
                        height=bottom - top,
                    ),
                )

    def add(self, split: str, frame_ids: Sequence[int], epoch: int, step: int, values: Mapping[str, float]) -> None:
        """Take what was measured of some samples (the engine's `SampleSignals`)."""
        for number in frame_ids:
            if (sample := self._ids.get(number)) is not None:
                self._segment.add(sample, step, epoch, values)

    def cut(self, events: int) -> None:
        """End a segment: what was gathered belongs to the snapshot before which the run has emitted so many events."""
        if len(self._segment):
            with self._lock:
                self._cut.append((events, self._segment))
            self._segment = self._new_segment()

    def publish(self, events: int) -> None:
        """Store what belongs to snapshots up to one, as one file; in any thread."""
        with self._lock:
            segments = [segment for until, segment in self._cut if until <= events]
            self._cut = [each for each in self._cut if each[0] > events]
        if not segments:
            return
        first, *others = segments
        for each in others:
            first.extend(each)
        rows, (low, high) = len(first), first.steps
        self._send(File("signals", self._put(first.take()), rows, low, high, max(events, 1)))
