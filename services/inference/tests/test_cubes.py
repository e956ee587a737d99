"""What a cube is cut into, and how outputs are put together again."""

import asyncio
from collections.abc import Iterable

import numpy as np
import pytest

from swath.engine.graph.independence import Independence
from swath.engine.graph.structure.parts import Parts
from swath.errors import Exhausted, InvalidInput, Precondition
from swath_inference.dataplane.streaming.assemble import CubeOutputs, Header, Piece
from swath_inference.dataplane.streaming.cut import Cube, Cut, Part
from swath_inference.dataplane.streaming.memory import CubeMemory

BATCH, FRAME, PIXEL = Independence
NOTHING = frozenset()


def _cube(
    shape, independence=PIXEL, tile_bytes=64, *, inputs: Iterable[str] = NOTHING, outputs: Iterable[str] = NOTHING
):
    return Cube.of(shape, 4, Parts(independence, frozenset(inputs), frozenset(outputs)), tile_bytes)


async def _stream(*chunks):
    for chunk in chunks:
        yield chunk


@pytest.mark.parametrize(
    ("independence", "shape", "cut", "parts"),
    [
        # 40 bytes a row: one row a part.
        (PIXEL, (1, 3, 2, 5), Cut.ROWS, [(0, 1, 0, 1), (0, 1, 1, 1), (0, 1, 2, 1)]),
        # 12 bytes a row: five rows fit, so seven rows are cut 3 + 4.
        (PIXEL, (2, 7, 3, 1), Cut.ROWS, [(0, 1, 0, 3), (0, 1, 3, 4), (1, 1, 0, 3), (1, 1, 3, 4)]),
        (PIXEL, (1, 2, 2, 4), Cut.NONE, [(0, 1, 0, 2)]),
        # Small items go together, two of them.
        (PIXEL, (5, 2, 3, 1), Cut.ITEMS, [(0, 1, 0, 2), (1, 2, 0, 2), (3, 2, 0, 2)]),
        (FRAME, (2, 7, 3, 1), Cut.ITEMS, [(0, 1, 0, 7), (1, 1, 0, 7)]),
        (FRAME, (1, 7, 3, 1), Cut.NONE, [(0, 1, 0, 7)]),
        (BATCH, (2, 7, 3, 1), Cut.NONE, [(0, 2, 0, 7)]),
        # Without rows only items are cut.
        (PIXEL, (2, 100), Cut.ITEMS, [(0, 1, 0, 1), (1, 1, 0, 1)]),
    ],
)
def test_what_a_cube_is_cut_into(independence, shape, cut, parts):
    cube = _cube(shape, independence)
    assert cube.cut is cut
    assert [(part.item, part.items, part.row, part.rows) for part in cube.parts] == parts
    assert sum(map(cube.bytes_of, cube.parts)) == cube.nbytes == 4 * np.prod(shape)


@pytest.mark.parametrize("sizes", [[168], [1] * 168, [50, 70, 48], [36, 48, 36, 48], [0, 100, 0, 68]])
async def test_parts_hold_the_bytes_of_the_cube_wherever_chunks_end(sizes):
    cube, whole = _cube((2, 7, 3, 1)), np.arange(42, dtype=np.int32)
    data = whole.tobytes()
    ends = np.cumsum(sizes).tolist()
    chunks = [data[end - size : end] for size, end in zip(sizes, ends, strict=True)]
    found = [(part, bytes(part_data)) async for part, part_data in cube.filled(_stream(*chunks))]
    cube_of = whole.reshape(cube.shape)
    assert found == [(part, cube_of[part.item, part.row : part.row + part.rows].tobytes()) for part in cube.parts]


@pytest.mark.parametrize(("sizes", "message"), [([100, 60], "hold 160 bytes, expected 168"), ([160, 9], "169 bytes")])
async def test_chunks_that_do_not_add_up_are_refused(sizes, message):
    with pytest.raises(InvalidInput, match=message):
        async for _ in _cube((2, 7, 3, 1)).filled(_stream(*map(bytes, sizes))):
            pass


def test_other_inputs_are_cut_with_the_cube():
    cube, part = _cube((2, 7, 3, 1), inputs={"wavelengths"}), Part(1, 1, 3, 4)
    pixels = np.arange(42).reshape(2, 7, 3)
    assert (cube.cut_out("mask", pixels, part) == pixels[1:2, 3:7]).all()
    assert cube.cut_out("frame_id", np.array([4, 5]), part).tolist() == [5]
    assert cube.cut_out("wavelengths", np.array([[1], [2]]), part).tolist() == [[1], [2]]
    assert cube.cut_out("threshold", np.array([1, 2, 3]), part).tolist() == [1, 2, 3]
    assert cube.cut_out("text_prompt", "aircraft", part) == "aircraft"


def _encoded(array):
    return array.shape, 1, memoryview(np.ascontiguousarray(array).tobytes())


def _together(cube, name, whole_of):
    """Put an output together from its parts."""
    outputs, data, header = CubeOutputs(cube), bytearray(), None
    for part in cube.parts:
        for each in outputs.add(part, {name: _encoded(whole_of(part))}):
            if isinstance(each, Header):
                assert header is None
                header = each
            else:
                assert isinstance(each, Piece)
                assert each.offset == len(data)
                data += each.data
    outputs.finish()
    assert header is not None
    return np.frombuffer(bytes(data), np.float32).reshape(header.shape)


def test_rows_of_outputs_are_put_together():
    whole = np.random.default_rng(1).random((2, 7, 3, 5), dtype=np.float32)
    found = _together(_cube((2, 7, 3, 1)), "a.b", lambda part: whole[part.item, part.row : part.row + part.rows][None])
    np.testing.assert_array_equal(found, whole)


def test_items_of_outputs_are_put_together():
    whole = np.random.default_rng(1).random((5, 3), dtype=np.float32)
    found = _together(_cube((5, 2, 3, 1), FRAME), "a.b", lambda part: whole[part.item : part.item + part.items])
    np.testing.assert_array_equal(found, whole)


def test_an_output_of_the_whole_cube_comes_once():
    cube, same = _cube((1, 7, 4, 1), outputs={"a.b"}), np.array([[1, np.nan]], np.float32)
    np.testing.assert_array_equal(_together(cube, "a.b", lambda part: same), same)


@pytest.mark.parametrize(
    "outputs",
    [
        lambda part: {"a.b": _encoded(np.array([part.row], np.float32))},
        lambda part: {"a.b": float(part.row)},
        lambda part: {"a.b": _encoded(np.zeros((1, part.rows, 4, 1 + part.row), np.float32))},
        lambda part: {"a.b": _encoded(np.zeros((1, part.rows, 4), np.float32))} if part.row == 0 else {},
        lambda part: {"a.b": _encoded(np.zeros((1, part.rows, 4), np.float32))} if part.row else {},
    ],
    ids=["values", "numbers", "shapes", "only the first", "not the first"],
)
def test_an_output_that_is_not_the_same_in_all_parts_is_refused_by_name(outputs):
    cube = _cube((1, 7, 4, 1))
    found = CubeOutputs(cube)

    def put_together():
        for part in cube.parts:
            list(found.add(part, outputs(part)))
        found.finish()

    with pytest.raises(Precondition, match=r"output 'a\.b'.*computed in rows"):
        put_together()


def test_numbers_that_all_parts_agree_on_are_kept():
    cube = _cube((1, 7, 4, 1))
    found = CubeOutputs(cube)
    for part in cube.parts:
        assert list(found.add(part, {"a.n": 3.0, "a.nan": float("nan")})) == []
    assert found.metrics["a.n"] == 3.0
    assert np.isnan(found.metrics["a.nan"])


def test_memory_is_counted_over_all_calls():
    memory, rows, whole = CubeMemory(200), _cube((1, 100, 4, 1)), _cube((1, 12, 4, 1), BATCH)
    # Three parts of 64 bytes at a time, of 1600; 192 bytes in one.
    assert (rows.in_memory, whole.in_memory) == (192, 192)
    with memory.holding(rows):
        assert memory.held == 192
        with pytest.raises(Exhausted, match="of other calls") as caught, memory.holding(whole):
            pass
        assert caught.value.retry_after == 1.0
    with memory.holding(whole):
        pass
    assert memory.held == 0


@pytest.mark.parametrize(
    ("independence", "message"),
    [
        (BATCH, "the whole cube at a time.*outputs of nodes that look at each pixel"),
        (FRAME, "whole items of the batch"),
    ],
)
def test_a_cube_that_finds_no_room_is_refused_with_what_would(independence, message):
    cube = _cube((4, 100, 4, 1), independence)
    with (
        pytest.raises(Exhausted, match=f"SWATH_INFERENCE_CUBE_BYTES.*{message}") as caught,
        CubeMemory(1000).holding(cube),
    ):
        pass
    assert caught.value.retry_after is None


async def _not_yet(task):
    for _ in range(5):
        await asyncio.sleep(0)
    return not task.done()


async def test_outputs_are_counted_until_they_are_sent_and_slow_the_next_parts_down():
    memory = CubeMemory(500)
    with memory.holding(_cube((1, 100, 4, 1))) as held:
        of_parts = memory.held
        first = await held.reserve()
        # How large outputs are is known from the first part on.
        second = asyncio.create_task(held.reserve())
        assert await _not_yet(second)
        held.computed(first, 150)
        assert memory.held == of_parts + 150
        assert await second == 150
        assert memory.held == of_parts + 150 + 150
        held.computed(150, 120)
        third = asyncio.create_task(held.reserve())
        assert memory.held == of_parts + 150 + 120
        assert await _not_yet(third)
        held.sent(150)
        assert await third == 150
    assert memory.held == 0


async def test_the_part_that_is_due_has_room_whatever_others_hold():
    memory = CubeMemory(400)
    with memory.holding(_cube((1, 100, 4, 1))) as mine, memory.holding(_cube((1, 100, 4, 1))) as theirs:
        theirs.computed(await theirs.reserve(), 1000)
        mine.computed(await asyncio.wait_for(mine.reserve(), 5), 100)
        waiting = asyncio.create_task(mine.reserve())
        assert await _not_yet(waiting)
        mine.sent(100)
        assert await asyncio.wait_for(waiting, 5) == 100
        with pytest.raises(Exhausted, match="the cubes of other calls hold"), memory.holding(_cube((1, 100, 4, 1))):
            pass
    assert memory.held == 0


def test_a_header_of_a_cube_of_too_many_parts_is_refused_before_there_is_any():
    with pytest.raises(InvalidInput, match=r"computed in 4294967296 parts, expected 100000 at most"):
        _cube((2**31, 2, 2**20, 1), tile_bytes=2**22)
    with pytest.raises(InvalidInput, match=r"computed in 2147483648 parts"):
        _cube((2**31, 2**20), tile_bytes=2**22)


def test_an_output_that_items_have_is_put_together_by_item():
    cube = _cube((3, 2, 4, 4))
    assert cube.cut is Cut.ROWS
    outputs = CubeOutputs(cube)
    numbers = np.array([7, 7, 9], np.int32)
    found = [
        each
        for part in cube.parts
        for each in outputs.add(part, {"data.number": ((1,), 2, numbers[part.item : part.item + 1].data.cast("B"))})
    ]
    outputs.finish()
    header, *pieces = found
    assert header == Header(0, "data.number", (3,), 2)
    assert b"".join(bytes(each.data) for each in pieces if isinstance(each, Piece)) == numbers.tobytes()


def test_an_output_of_an_item_that_differs_between_its_rows_has_no_place():
    cube = _cube((2, 2, 4, 4))
    outputs = CubeOutputs(cube)
    first, second, *_ = cube.parts
    list(outputs.add(first, {"data.number": ((1,), 2, memoryview(bytes(4)))}))
    with pytest.raises(Precondition, match="cannot be put together"):
        list(outputs.add(second, {"data.number": ((1,), 2, memoryview(bytes(3) + b"1"))}))
