"""The frames of ``swath infer``: how they are sent, and what is said of their results."""

from __future__ import annotations

import signal
import tempfile
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from swath.client.calls import Outputs
from swath.client.cli.output import wrote
from swath.client.cli.progress import bars
from swath.client.config import MIB
from swath.client.data.results import write_results
from swath.client.data.scenes import scene_errors
from swath.client.data.validity import extent
from swath.client.errors import CallError, LocalError, MessageTooLargeError, SceneError
from swath.client.streaming import CubeRows
from swath.client.streaming.growing import follow
from swath.scenes import SUFFIXES, GrowingScene, Scene, files_of

if TYPE_CHECKING:
    from swath.client.published import PublishedModel
    from swath.client.sync import Session

    Runs = Session | PublishedModel

_BESIDE = MIB
"""Bytes of a message that are not the cube's: wavelengths, names, framing."""
_MAPPED = 256 * MIB
"""Bytes of an output from which on it goes to a file, not to memory."""

Found = tuple[Scene, Outputs | CallError]


def each_alone(
    session: Runs, frames: Iterable[Scene], outputs: Iterable[str], limit: int, console: Console
) -> Iterator[Found]:
    """Run the pipeline on each frame by a call of its own.

    Args:
        session: Has the pipeline.
        frames: Read one at a time.
        outputs: Outputs wanted.
        limit: Bytes of a message.
        console: Where progress is shown.
    """
    for frame in frames:
        if _fits(frame, limit):
            try:
                with console.status(f"inference on {frame.name} {list(frame.cube.shape)}"):
                    found = session.infer(outputs=outputs, **frame.inputs())
                yield frame, found
                continue
            except MessageTooLargeError:
                pass  # The server takes less, or the answer is larger.
        yield frame, _in_pieces(session, frame, outputs, console)


def over_a_stream(
    session: Runs, frames: Iterable[Scene], outputs: Iterable[str], limit: int, console: Console
) -> Iterator[Found]:
    """Run the pipeline on all frames over one stream; arguments as of `each_alone`."""
    under_way: deque[Scene] = deque()
    with bars(console) as progress, session.stream(outputs) as stream:
        task = progress.add_task("stream", total=None, note="")

        def inputs() -> Iterator[Mapping[str, Any]]:
            for frame in frames:
                if not _fits(frame, limit):
                    raise LocalError(
                        f"{frame.name} has {CubeRows.of(frame).nbytes / MIB:.1f} MiB, more than a message may have "
                        f"({limit / MIB:.1f} MiB): send it without --stream, which sends it in pieces, or raise "
                        "--max-message-mb and SWATH_MAX_MESSAGE_BYTES of the server"
                    )
                under_way.append(frame)
                progress.update(task, note=frame.name)
                yield frame.inputs()

        for result in stream.run(inputs()):
            progress.advance(task)
            yield under_way.popleft(), result.outputs if result.error is None else result.error


def as_they_come(
    session: Runs, growing: GrowingScene, outputs: Iterable[str], lines: int | None, idle_s: float, console: Console
) -> Iterator[Found]:
    """Run the pipeline on a scene that is still written, until it ends or Ctrl-C is pressed.

    Args:
        session: Has the pipeline.
        growing: The scene.
        outputs: Outputs wanted.
        lines: Lines to wait for; None where nobody knows.
        idle_s: Seconds without a new line that end it.
        console: Where progress is shown.

    Raises:
        ClientError: A call failed; after what was computed before it was given.
    """
    shown = growing.path.stem
    with bars(console) as progress, _asked_to_stop() as stop:
        task = progress.add_task(f"following {shown}", total=lines or growing.named_lines, note="Ctrl-C ends it")
        followed = follow(
            session,
            growing,
            outputs,
            lines=lines,
            idle_s=idle_s,
            wait=stop.wait,
            progress=lambda done, there: progress.update(
                task, completed=done, note=f"{done} of {there} lines that are there; Ctrl-C ends it"
            ),
        )
    typer.echo(f"{shown}: {followed.lines} lines: {followed.end.value}", err=True)
    with scene_errors():
        scene = growing.scene(0, followed.lines)
    yield scene, followed.outputs
    if followed.error is not None:
        raise followed.error


@contextmanager
def _asked_to_stop() -> Iterator[threading.Event]:
    """Set an event at the first Ctrl-C within the block; a second one interrupts as ever."""
    stop = threading.Event()

    def ask(*_: object) -> None:
        signal.signal(signal.SIGINT, before)
        stop.set()

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


def scenes_in(place: Path) -> list[Path]:
    """The scenes of a folder by name, one of each ENVI pair; a file is itself.

    Raises:
        SceneError: There are none.
    """
    if not place.is_dir() or place.suffix.lower() == ".zarr":
        return [place]
    found = [each for each in sorted(place.iterdir()) if each.suffix.lower() in SUFFIXES]
    images = {image for header in found if header.suffix.lower() == ".hdr" for image in files_of(header)[1:]}
    scenes = [each for each in found if each not in images]
    if not scenes:
        raise SceneError(f"{place}: expected scenes ({', '.join(SUFFIXES)}), found none")
    return scenes


class Report:
    """Writes results, and the table of what they are.

    Args:
        console: Where to say so.
        output: File of the first result; the others are numbered. None writes none.
        by_name: Whether files are named by their frames instead, and a frame that failed does not end it.
    """

    def __init__(self, console: Console, output: Path | None, *, by_name: bool = False) -> None:
        self._console = console
        self._output = output
        self._by_name = by_name
        self._table = Table("frame", "output", "dtype", "shape", "min", "max", "invalid", box=None, pad_edge=False)
        self._count = self._failed = 0

    def add(self, frame: Scene, found: Outputs | CallError) -> None:
        """Take the result of the next frame.

        Raises:
            LocalError: The pipeline gave nothing.
        """
        if isinstance(found, CallError):
            self._failed += 1
            typer.echo(f"error: {frame.name}: {found}", err=True)
            return
        notes = list(frame.notes)
        for name, array in found.items():
            span = extent(array)
            low, high = ("" if end is None else f"{end:.4g}" for end in (span.low, span.high))
            invalid = f"{span.invalid} of {span.pixels}" if span.invalid else ""
            self._table.add_row(frame.name, name, str(array.dtype), str(list(array.shape)), low, high, invalid)
        for name, value in found.metrics.items():
            self._table.add_row(frame.name, name, "", "", f"{value:.4g}", f"{value:.4g}", "")
        if not found and not found.metrics:
            raise LocalError(
                f"the pipeline gave nothing for {frame.name}: it has no output that is a tensor or a number"
            )
        if self._output is not None:
            for file in write_results(self._file(self._output, frame), found, scene=frame, notes=notes):
                wrote(self._console, file)
        self._count += 1
        for note in notes:
            typer.echo(f"{frame.name}: {note}", err=True)

    def finish(self) -> None:
        """Show the table.

        Raises:
            LocalError: Frames failed.
        """
        self._console.print(self._table)
        if self._failed:
            raise LocalError(f"{self._failed} of {self._failed + self._count} frames failed")

    def _file(self, output: Path, frame: Scene) -> Path:
        if self._by_name:
            return output.with_name(f"{output.stem}_{frame.name}{output.suffix}")
        return output.with_name(f"{output.stem}_{self._count:04d}{output.suffix}") if self._count else output


def _fits(frame: Scene, limit: int) -> bool:
    return CubeRows.of(frame).nbytes + _BESIDE <= limit


def _in_pieces(session: Runs, frame: Scene, outputs: Iterable[str], console: Console) -> Outputs:
    with bars(console) as progress:
        task = progress.add_task(f"inference on {frame.name}", total=None, note="in pieces")
        return session.infer_cube(
            frame,
            outputs=outputs,
            progress=lambda done, total: progress.update(task, completed=done, total=total),
            place=_place,
            **frame.other_inputs(),
        )


def _place(name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return room for an output: a file without a name, where it is large, which goes with the array."""
    if int(np.prod(shape, dtype=np.int64)) * dtype.itemsize < _MAPPED:
        return np.empty(shape, dtype)
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, dtype, mode="w+", shape=shape)
