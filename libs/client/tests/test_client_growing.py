"""Following a scene: what is put together, and what is kept where it ends early."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from swath.client import LocalError, UnavailableError
from swath.client.calls import Outputs
from swath.client.streaming.growing import End, follow
from swath.inference.v1 import inference_pb2 as pb
from swath.scenes import GrowingScene

LINES, COLUMNS, BANDS = 6, 4, 3
CUBE = np.random.default_rng(8).integers(10, 200, (LINES, COLUMNS, BANDS), dtype=np.uint16)


class Pipeline:
    """Stands for a session: computes blocks as it is told, and fails after some of them."""

    def __init__(self, compute: Callable[[np.ndarray], dict[str, Any]], *, apart: bool = True, calls: int = 99) -> None:
        self._compute = compute
        self._apart = apart
        self._left = calls
        self.sizes: list[int] = []

    def plan_cube(self, cube: Any, *, outputs: Any = (), **inputs: Any) -> pb.Plan:
        return pb.Plan(rows_apart=self._apart)

    def infer_cube(self, cube: Any, *, outputs: Any = (), **inputs: Any) -> Outputs:
        self._left -= 1
        if self._left < 0:
            raise UnavailableError("UNAVAILABLE", "the server is gone")
        self.sizes.append(cube.size[0])
        found = self._compute(cube.rows(0, cube.size[0])[None])
        outputs = Outputs({name: value for name, value in found.items() if isinstance(value, np.ndarray)})
        outputs.metrics = {name: value for name, value in found.items() if not isinstance(value, np.ndarray)}
        return outputs


@pytest.fixture
def written(tmp_path: Path) -> Callable[[int], None]:
    """Writes the scene up to a line; the header says that 7 is no value."""
    (tmp_path / "scan.hdr").write_text(
        f"ENVI\nsamples = {COLUMNS}\nbands = {BANDS}\ndata type = 12\ninterleave = bip\ndata ignore value = 7\n"
    )

    def write(lines: int) -> None:
        (tmp_path / "scan.img").write_bytes(CUBE[:lines].tobytes())

    write(2)
    return write


@pytest.fixture
def growing(written: Callable[[int], None], tmp_path: Path) -> GrowingScene:
    return GrowingScene(tmp_path / "scan.hdr")


def _two_more(written: Callable[[int], None]) -> Callable[[float], bool]:
    there = [2]

    def wait(seconds: float) -> bool:
        if seconds:
            there[0] += 2
            written(there[0])
        return False

    return wait


def _passed_on(cube: np.ndarray) -> dict[str, Any]:
    return {"a.cube": cube, "a.wavelengths": np.arange(3.0), "a.count": 3.0}


def test_lines_are_sent_as_they_come_and_put_together(growing: GrowingScene, written: Callable[[int], None]) -> None:
    session, seen = Pipeline(_passed_on), []
    followed = follow(
        session, growing, lines=LINES, wait=_two_more(written), progress=lambda done, there: seen.append((done, there))
    )
    assert (followed.lines, followed.end, followed.error) == (LINES, End.LINES, None)
    np.testing.assert_array_equal(followed.outputs["a.cube"], CUBE[None])
    np.testing.assert_array_equal(followed.outputs["a.wavelengths"], [0, 1, 2])
    assert followed.outputs.metrics == {"a.count": 3.0}
    assert session.sizes == [2, 2, 2]
    assert seen[0] == (0, 2)
    assert seen[-1] == (LINES, LINES)


def test_a_type_that_comes_with_an_invalid_pixel_is_that_of_the_finished_scene(
    growing: GrowingScene, written: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    cube = CUBE.copy()
    cube[3, 1] = 7
    monkeypatch.setitem(globals(), "CUBE", cube)
    followed = follow(Pipeline(_passed_on), growing, lines=LINES, wait=_two_more(written))
    expected = cube.astype(np.float32)
    expected[3, 1] = np.nan
    assert followed.outputs["a.cube"].dtype == np.float32
    np.testing.assert_array_equal(followed.outputs["a.cube"][0], expected)


def test_what_was_computed_is_kept_where_a_call_fails(growing: GrowingScene, written: Callable[[int], None]) -> None:
    followed = follow(Pipeline(_passed_on, calls=2), growing, lines=LINES, wait=_two_more(written))
    assert (followed.lines, followed.end) == (4, End.FAILED)
    assert isinstance(followed.error, UnavailableError)
    np.testing.assert_array_equal(followed.outputs["a.cube"], CUBE[None, :4])


def test_a_call_that_fails_before_anything_was_computed_is_an_error(growing: GrowingScene) -> None:
    with pytest.raises(UnavailableError):
        follow(Pipeline(_passed_on, calls=0), growing, lines=2)


@pytest.mark.parametrize(
    "compute",
    [
        lambda cube: {"a.mean": cube.mean(axis=(1, 2))},
        lambda cube: {"a.mean": float(cube.mean())},
        lambda cube: {f"a.{cube[0, 0, 0, 0]}": cube},
        lambda cube: {"a.bands": cube[..., : 1 + (cube[0, 0, 0, 0] == CUBE[0, 0, 0])]},
    ],
)
def test_an_output_that_is_another_in_each_block_is_refused_by_name(
    growing: GrowingScene, written: Callable[[int], None], compute: Any
) -> None:
    followed = follow(Pipeline(compute), growing, lines=LINES, wait=_two_more(written))
    assert followed.lines == 2
    assert isinstance(followed.error, LocalError)
    assert "output 'a." in str(followed.error)
    assert "cannot be put together" in str(followed.error)


def test_a_pipeline_that_looks_at_all_lines_gets_them_together(
    growing: GrowingScene, written: Callable[[int], None]
) -> None:
    session = Pipeline(_passed_on, apart=False)
    followed = follow(session, growing, lines=LINES, wait=_two_more(written))
    assert session.sizes == [LINES]
    np.testing.assert_array_equal(followed.outputs["a.cube"], CUBE[None])


@pytest.mark.parametrize("apart", [True, False])
def test_whoever_stops_it_gets_what_there_is(growing: GrowingScene, apart: bool) -> None:
    followed = follow(Pipeline(_passed_on, apart=apart), growing, wait=lambda seconds: True)
    assert (followed.lines, followed.end) == (2, End.STOPPED)
    assert followed.outputs["a.cube"].shape == (1, 2, COLUMNS, BANDS)


def test_it_ends_when_no_line_comes_for_a_while(growing: GrowingScene) -> None:
    followed = follow(Pipeline(_passed_on), growing, idle_s=0.0)
    assert (followed.lines, followed.end) == (2, End.IDLE)
