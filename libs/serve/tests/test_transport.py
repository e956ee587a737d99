"""Frames, calls and credit between two ends of a socket."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from swath.serve.transport import frames, segments
from swath.serve.transport.call import WINDOW, Call, Ended
from swath.serve.transport.channel import Channel
from swath.serve.transport.values import pack, unpack


class Pair:
    """Both ends of a socket; `taken` has the calls that the first end has opened."""

    def __init__(self) -> None:
        self.taken: asyncio.Queue[Call] = asyncio.Queue()
        self.events: list[object] = []
        self.lost: list[str] = []
        self.here: Channel
        self.there: Channel


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    made = Pair()
    left, right = socket.socketpair()
    made.here = await Channel.connect(left, lambda call: None, made.events.append, lambda: made.lost.append("here"))
    made.there = await Channel.connect(
        right, made.taken.put_nowait, lambda event: None, lambda: made.lost.append("there")
    )
    yield made
    made.here.close()
    made.there.close()
    await asyncio.sleep(0)


async def test_a_call_has_messages_both_ways_and_one_end(pair: Pair) -> None:
    call = pair.here.open(("method", 1), [b"first ", b"body"])
    taken = await pair.taken.get()
    assert (taken.about, bytes(taken.payload)) == (("method", 1), b"first body")
    await call.send([b"in"])
    call.finish()
    assert await taken.receive() == (None, b"in")
    assert await taken.receive() is None
    await taken.send([b"out"], 7)
    taken.finish_with(("good",), [b"end"])
    assert await call.receive() == (7, b"out")
    assert await call.receive() is None
    assert call.end == (("good",), b"end")


@pytest.mark.parametrize("size", [0, 1, 65_000, 65_536, 70_000, 5_000_000])
async def test_bodies_of_all_sizes_arrive_whole_and_in_order(pair: Pair, size: int) -> None:
    body = np.random.default_rng(size).bytes(size)
    calls = [pair.here.open(number, [body, bytes([number])]) for number in range(3)]
    for number in range(3):
        taken = await pair.taken.get()
        assert taken.about == number
        assert bytes(taken.payload) == body + bytes([number])
        taken.finish_with(number, [taken.payload])
    for call in calls:
        assert await call.receive() is None
        assert call.end is not None
        assert len(call.end[1]) == size + 1


async def test_much_may_be_said_about_a_call(pair: Pair) -> None:
    about = ("x" * 300_000, b"y" * 100_000)
    pair.here.open(about, [b"z" * 100_000])
    pair.here.open("next")
    taken = await pair.taken.get()
    assert taken.about == about
    assert bytes(taken.payload) == b"z" * 100_000
    assert (await pair.taken.get()).about == "next"


async def test_a_sender_is_never_further_ahead_than_the_window(pair: Pair) -> None:
    call = pair.here.open("stream")
    taken = await pair.taken.get()
    sent = 0

    async def send() -> None:
        nonlocal sent
        for _ in range(100):
            await taken.send([bytes(WINDOW // 4)])
            sent += 1
        taken.finish_with("done")

    task = asyncio.create_task(send())
    await asyncio.sleep(0.05)
    assert sent == 4
    for _ in range(100):
        message = await call.receive()
        assert message is not None
        assert len(message[1]) == WINDOW // 4
    assert await call.receive() is None
    await task
    assert sent == 100


async def test_small_messages_are_bounded_too(pair: Pair) -> None:
    pair.here.open("stream")
    taken = await pair.taken.get()
    sent = 0

    async def send() -> None:
        nonlocal sent
        while True:
            await taken.send([b"x"])
            sent += 1

    task = asyncio.create_task(send())
    await asyncio.sleep(0.1)
    assert sent < 5000
    task.cancel()


async def test_taking_back_reaches_the_other_end_and_wakes_a_sender(pair: Pair) -> None:
    call = pair.here.open("stream")
    taken = await pair.taken.get()
    told = asyncio.Event()
    taken.on_cancel = told.set
    await taken.send([bytes(2 * WINDOW)])
    sending = asyncio.create_task(taken.send([b"more"]))
    await asyncio.sleep(0.01)
    call.cancel()
    await asyncio.wait_for(told.wait(), 5)
    with pytest.raises(Ended):
        await sending
    assert await call.receive() is None
    assert call.end is None


async def test_a_lost_end_ends_all_calls(pair: Pair) -> None:
    call = pair.here.open("one")
    taken = await pair.taken.get()
    released: list[str] = []
    call.on_end = lambda: released.append(f"after {pair.lost}")
    told = asyncio.Event()
    taken.on_cancel = told.set
    pair.there.close()
    assert await asyncio.wait_for(call.receive(), 5) is None
    assert (call.end, call.lost) == (None, True)
    assert released == ["after ['there', 'here']"]
    assert told.is_set()
    late = pair.here.open("two")
    assert late.over
    assert await late.receive() is None


async def test_events_arrive(pair: Pair) -> None:
    pair.there.tell(("models", ["a"]))
    await asyncio.sleep(0.01)
    assert pair.events == [("models", ["a"])]


@pytest.mark.parametrize("by_value", [False, True])
def test_values_keep_their_large_arrays_beside_the_pickle(by_value: bool) -> None:
    value = {"large": np.arange(100_000.0), "small": np.arange(3), "f": lambda x: x + 1}
    sizes, parts = pack(value, by_value)
    assert [size >= 64 * 1024 for size in sizes] == [False, True]
    payload = bytearray(b"".join(parts))
    found = unpack(sizes, payload)
    np.testing.assert_array_equal(found["large"], value["large"])
    np.testing.assert_array_equal(found["small"], value["small"])
    found["large"][0] = 7
    found["small"][0] = 7
    assert found["f"](1) == 2


def _segments() -> set[str]:
    return {each.name for each in Path("/dev/shm").glob(f"swath-serve-{os.getpid()}-*")}


async def test_large_payloads_go_by_shared_memory_and_leave_nothing_there(pair: Pair) -> None:
    body = np.random.default_rng(0).bytes(3_000_000)
    call = pair.here.open("large", [body[:1000], memoryview(body)[1000:]])
    assert len(_segments()) == 1
    taken = await pair.taken.get()
    assert taken.payload == body
    assert _segments() == set()
    await taken.send([body], 1)
    assert await call.receive() == (1, body)
    taken.finish_with("end", [b"small", body])
    assert await call.receive() is None
    assert call.end == ("end", b"small" + body)
    assert _segments() == set()


async def test_what_nobody_reads_any_more_is_removed(pair: Pair) -> None:
    pair.here.open("large", [bytes(2_000_000)])
    assert len(_segments()) == 1
    pair.here.close()
    await asyncio.sleep(0.01)
    assert _segments() == set()


async def test_without_room_for_it_a_large_payload_goes_over_the_socket(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: int, parts: object) -> int:
        raise OSError(errno.ENOSPC, "no room")

    monkeypatch.setattr("os.writev", full)
    body = np.random.default_rng(1).bytes(3_000_000)
    pair.here.open("large", [body])
    assert (await pair.taken.get()).payload == body
    assert _segments() == set()


@pytest.mark.parametrize("kind", ["another folder", "another size", "away"])
async def test_a_file_that_is_not_what_was_said_ends_the_connection(pair: Pair, tmp_path: Path, kind: str) -> None:
    name = f"swath-serve-{os.getpid()}-{'0' * 16}"
    place = Path("/dev/shm") / name
    if kind == "another size":
        place.write_bytes(b"short")
    said = "../etc/passwd" if kind == "another folder" else name
    payload = frames.NAME.pack(2_000_000, said.encode())
    head = frames.HEADER.pack(len(payload), 1, 0, frames.Kind.CALL | frames.IN_FILE, 1)
    assert pair.here._transport is not None  # pyright: ignore[reportPrivateUsage]
    pair.here._transport.write(head + payload)  # pyright: ignore[reportPrivateUsage]
    async with asyncio.timeout(5):
        while not pair.lost:  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)
    assert pair.taken.empty()
    assert not place.exists()


def test_files_of_processes_that_were_killed_are_removed_after_a_while() -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    old, young = (Path("/dev/shm") / f"swath-serve-{ended.pid}-{each * 16}" for each in "ab")
    for each in (old, young):
        each.write_bytes(b"left")
    os.utime(old, (1, 1))
    mine = segments.Segments()
    assert mine.write([b"payload"]) is not None
    mine.clear()
    assert (old.exists(), young.exists()) == (False, True)
    young.unlink()
