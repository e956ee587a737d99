"""Scenes that an instrument is still writing: their lines are sent as they come."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from enum import Enum
from typing import IO, TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from swath.client.calls import Outputs
from swath.client.config import MIB
from swath.client.data.scenes import scene_errors
from swath.client.errors import ClientError, LocalError
from swath.scenes import GrowingScene, Scene

if TYPE_CHECKING:
    from swath.inference.v1 import inference_pb2

Array = NDArray[Any]

POLL_S = 0.2
"""Seconds between two looks at a file whose lines are all sent."""
_BLOCK = 32 * MIB
"""Bytes of the file that one call takes at most; a scene that is far behind is caught up with in such steps."""


class End(Enum):
    """Why no more lines were waited for."""

    LINES = "all lines that were asked for are there"
    IDLE = "no line came for a while"
    STOPPED = "stopped by the user"
    FAILED = "a call failed"


@dataclass(frozen=True)
class Followed:
    """What came of a scene.

    Attributes:
        outputs: Of the lines that were computed.
        lines: How many these are.
        end: Why there are no more.
        error: The error of a call that failed; None if none did.
    """

    outputs: Outputs
    lines: int
    end: End
    error: ClientError | None = None


class Infers(Protocol):
    """What is needed of a `Session`."""

    def infer_cube(self, cube: Any, *, outputs: Iterable[str] = (), **inputs: Any) -> Outputs: ...

    def plan_cube(self, cube: Any, *, outputs: Iterable[str] = (), **inputs: Any) -> inference_pb2.Plan: ...


def follow(
    session: Infers,
    growing: GrowingScene,
    outputs: Iterable[str] = (),
    *,
    lines: int | None = None,
    idle_s: float = 10.0,
    wait: Callable[[float], bool] = lambda seconds: bool(time.sleep(seconds)),
    progress: Callable[[int, int], None] = lambda done, there: None,
) -> Followed:
    """Run the pipeline of a session on a scene while it is written; outputs are those of the finished scene.

    Where the pipeline looks at each pixel by itself, lines are sent as they come. Otherwise all of them are sent once
    no more are waited for.

    Args:
        session: A `swath.client.Session`.
        growing: The scene.
        outputs: As of `Session.infer`.
        lines: Lines after which no more are waited for; None waits for as long as some come.
        idle_s: Seconds without a new line after which no more are waited for.
        wait: Waits for some seconds; returns whether to end with the lines that are computed.
        progress: Called with the lines that are computed, and those that are there.

    Raises:
        LocalError: An output cannot be put together, or not a single line came.
        ClientError: A call failed before anything was computed.
    """
    wanted = tuple(outputs)
    block_lines = max(1, _BLOCK // growing.line_bytes)
    done = there = 0
    apart: bool | None = None
    end, failure, last = End.LINES, None, time.monotonic()
    with closing(_Lines()) as found:
        try:
            while lines is None or done < lines:
                before, there = there, _written(growing, lines)
                if there > before:
                    last = time.monotonic()
                if there and apart is None:
                    line = _scene(growing, 0, 1)
                    apart = session.plan_cube(line, outputs=wanted, **line.other_inputs()).rows_apart
                progress(done, there)
                pause = POLL_S
                if apart and there > done:
                    done = _sent(session, growing, wanted, found, done, min(there, done + block_lines))
                    pause = 0.0
                elif there == lines:
                    break
                if wait(pause):
                    end = End.STOPPED
                    break
                if pause and time.monotonic() - last >= idle_s:
                    end = End.IDLE
                    break
            if not there:
                raise LocalError(f"{growing.path}: no line came for {time.monotonic() - last:.1f} s")
            if not apart:
                done = _sent(session, growing, wanted, found, 0, there)
        except ClientError as error:
            if not done:
                raise
            end, failure = End.FAILED, error
        progress(done, there)
        return Followed(found.whole(), done, end, failure)


def _written(growing: GrowingScene, lines: int | None) -> int:
    with scene_errors():
        there = growing.lines()
    return there if lines is None else min(there, lines)


def _scene(growing: GrowingScene, first: int, end: int) -> Scene:
    with scene_errors():
        return growing.scene(first, end)


def _sent(session: Infers, growing: GrowingScene, wanted: Iterable[str], found: _Lines, first: int, end: int) -> int:
    block = _scene(growing, first, end)
    found.add(session.infer_cube(block, outputs=wanted, **block.other_inputs()), block.size)
    return end


class _Lines:
    """Outputs of blocks of lines, put together: those of lines in files without names, the others as they are."""

    def __init__(self) -> None:
        self._blocks: dict[str, _Stored] = {}
        self._rest = Outputs()
        self._rest.metrics = {}
        self._lines = 0

    def add(self, found: Outputs, size: tuple[int, int]) -> None:
        """Take the outputs of the next lines.

        Args:
            found: The outputs.
            size: Lines and columns of the block.
        """
        of_lines = {name: array for name, array in found.items() if array.shape[:3] == (1, *size)}
        rest = {name: array for name, array in found.items() if name not in of_lines}
        if not self._lines:
            self._blocks = {name: _Stored(array) for name, array in of_lines.items()}
            self._rest.update(rest)
            self._rest.metrics = found.metrics
        else:
            # Checked before any is taken: what was put together so far is to stay whole.
            self._check(of_lines, rest, found.metrics)
            for name, array in of_lines.items():
                self._blocks[name].append(array)
        self._lines += size[0]

    def _check(self, of_lines: Mapping[str, Array], rest: Mapping[str, Array], metrics: Mapping[str, float]) -> None:
        tails = {name: stored.tail for name, stored in self._blocks.items()}
        for name in {*of_lines, *tails}:
            if name not in of_lines or of_lines[name].shape[2:] != tails.get(name):
                raise self._odd(name)
        for name in {*rest, *self._rest}:
            if name not in rest or name not in self._rest or not _same(rest[name], self._rest[name]):
                raise self._odd(name)
        for name in {*metrics, *self._rest.metrics}:
            if not _same(metrics.get(name), self._rest.metrics.get(name)):
                raise self._odd(name)

    def whole(self) -> Outputs:
        """The outputs of all lines."""
        found = Outputs({name: stored.whole() for name, stored in self._blocks.items()} | self._rest)
        found.metrics = self._rest.metrics
        return found

    def close(self) -> None:
        """Drop the files; what `whole` gave keeps its own."""
        for stored in self._blocks.values():
            stored.close()

    def _odd(self, name: str) -> LocalError:
        return LocalError(
            f"output '{name}' of the lines from {self._lines} on cannot be put together with that of the lines before: "
            "expected a value for each pixel, or the same in all lines; ask for other outputs, or send the finished one"
        )


class _Stored:
    """An output of lines, [1, lines, ...], in a file without a name."""

    def __init__(self, array: Array) -> None:
        self.tail = array.shape[2:]
        self._lines = 0
        self._dtype = array.dtype
        self._file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  it lives as long as the output
        self.append(array)

    def append(self, array: Array) -> None:
        """Add lines. They may have another type, where the first ones held no invalid pixel."""
        if (dtype := np.result_type(self._dtype, array.dtype)) != self._dtype:
            before = self.whole()
            self.close()
            self._dtype, self._lines, self._file = dtype, 0, tempfile.TemporaryFile()  # noqa: SIM115
            self.append(before)
        self._file.write(np.ascontiguousarray(array, self._dtype).data)
        self._lines += array.shape[1]

    def whole(self) -> Array:
        """All lines, mapped from the file."""
        self._file.flush()
        return np.memmap(self._file, self._dtype, mode="r+", shape=(1, self._lines, *self.tail))

    def close(self) -> None:
        """Drop the file."""
        self._file.close()


def _same(one: Any, other: Any) -> bool:
    floats = all(np.asarray(each).dtype.kind in "fc" for each in (one, other))
    return np.array_equal(one, other, equal_nan=floats)
