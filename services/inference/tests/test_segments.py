"""Segments of shared memory that clients make, and names for parts of them."""

import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from swath.errors import Exists, FileMissing, InputInvalid, Precondition
from swath_inference.shm.registered import Registered, RegisteredRegions
from swath_inference.shm.segments import read_segment, size_of, write_segment


@pytest.fixture
def place():
    """Where a segment of a name of its own goes."""
    path = Path("/dev/shm", f"test-{uuid.uuid4()}")
    yield path
    path.unlink(missing_ok=True)


def test_part_of_a_segment_is_a_copy(place):
    place.write_bytes(b"0123456789")
    data = read_segment(f"/{place.name}", 2, 3, name="cube")
    place.write_bytes(b"")
    assert bytes(data) == b"234"


def test_nothing_is_written_beside_a_part_and_a_segment_does_not_grow(place):
    place.write_bytes(b"0123456789")
    write_segment(place.name, 2, memoryview(b"abc"), name="scores")
    assert place.read_bytes() == b"01abc56789"
    with pytest.raises(InputInvalid, match="has 10 bytes, expected 11"):
        write_segment(place.name, 8, memoryview(b"abc"), name="scores")
    assert place.read_bytes() == b"01abc56789"
    assert size_of(place.name, name="scores") == 10


def test_a_pipe_is_refused_and_not_waited_for(place):
    os.mkfifo(place)
    for use in (lambda: read_segment(place.name, 0, 4, name="cube"), lambda: size_of(place.name, name="cube")):
        with pytest.raises(InputInvalid, match=r"cube: the segment .* is no regular file"):
            use()


def test_a_device_is_refused_and_not_opened(place):
    try:
        os.mknod(place, 0o600 | 0o020000, os.makedev(1, 5))  # a second /dev/zero
    except PermissionError:
        pytest.skip("only root makes devices")
    with pytest.raises(InputInvalid, match="is no regular file"):
        read_segment(place.name, 0, 4, name="cube")


def test_a_link_is_not_followed(place, tmp_path):
    (tmp_path / "secret").write_bytes(b"1234")
    place.symlink_to(tmp_path / "secret")
    with pytest.raises(FileMissing, match="Errno 40"):
        read_segment(place.name, 0, 4, name="cube")
    with pytest.raises(FileMissing):
        write_segment(place.name, 0, memoryview(b"abcd"), name="scores")
    assert (tmp_path / "secret").read_bytes() == b"1234"


def test_a_segment_of_another_prefix_is_refused(place):
    place.write_bytes(b"1234")
    with pytest.raises(Precondition, match="begin with 'swath-'"):
        read_segment(place.name, 0, 4, name="cube", prefix="swath-")


def test_a_segment_that_shrinks_while_it_is_read_ends_no_reader(place):
    size = 1 << 20
    place.write_bytes(bytes(size))
    reads = f"""
import time
from swath.errors import InputInvalid
from swath_inference.shm.segments import read_segment
print("reads", flush=True)
refused, number, until = 0, 0, time.monotonic() + 30
# On a busy machine the other process may not run for a while.
while number < 100 or (not refused and time.monotonic() < until):
    number += 1
    try:
        read_segment({place.name!r}, 0, {size}, name="cube")
    except InputInvalid:
        refused += 1
print(refused)
"""
    process = subprocess.Popen([sys.executable, "-c", reads], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "reads\n"
    while process.poll() is None:
        os.truncate(place, 0)
        os.truncate(place, size)
    # A reader of a mapping would have ended by SIGBUS.
    assert process.returncode == 0
    assert int(process.stdout.read()) > 0
    process.stdout.close()


class TestRegistered:
    def test_a_name_stands_for_a_part(self, place):
        place.write_bytes(b"0123456789")
        regions = RegisteredRegions()
        region = Registered("r", place.name, 2, 6)
        regions.register("alice", region)
        assert bytes(regions.read("alice", "r", 1, 3)) == b"345"
        regions.write("alice", "r", 4, memoryview(b"ab"))
        assert place.read_bytes() == b"012345ab89"
        assert regions.listed("alice") == regions.listed("alice", "r") == [region]

    @pytest.mark.parametrize(("offset", "size"), [(0, 7), (6, 1), (-1, 2), (2**63, 2**63)])
    def test_a_part_outside_of_a_region_is_refused(self, place, offset, size):
        place.write_bytes(b"0123456789")
        regions = RegisteredRegions()
        regions.register("alice", Registered("r", place.name, 2, 6))
        with pytest.raises(InputInvalid, match="Invalid offset"):
            regions.read("alice", "r", offset, size)

    @pytest.mark.parametrize(
        ("region", "error"),
        [
            (("", 0, 4), InputInvalid),
            (("r", 0, 0), InputInvalid),
            (("r", -1, 4), InputInvalid),
            (("r", 8, 3), InputInvalid),
            (("r", 2**63, 2**63), InputInvalid),
            (("taken", 0, 4), Exists),
        ],
    )
    def test_what_is_no_region_is_refused(self, place, region, error):
        place.write_bytes(b"0123456789")
        regions = RegisteredRegions()
        regions.register("alice", Registered("taken", place.name, 0, 4))
        name, offset, size = region
        with pytest.raises(error):
            regions.register("alice", Registered(name, place.name, offset, size))

    def test_a_segment_that_is_not_there_or_is_a_path(self):
        regions = RegisteredRegions()
        with pytest.raises(FileMissing):
            regions.register("alice", Registered("r", "test-none", 0, 4))
        for key in ("/etc/passwd", "../x", ""):
            with pytest.raises(InputInvalid, match="not the name"):
                regions.register("alice", Registered("r", key, 0, 4))

    def test_names_are_those_of_who_gave_them(self, place):
        place.write_bytes(b"0123456789")
        regions = RegisteredRegions(limit=1)
        for owner, offset in (("alice", 0), ("bob", 5)):
            regions.register(owner, Registered("r", place.name, offset, 5))
        assert bytes(regions.read("bob", "r", 0, 2)) == b"56"
        regions.unregister("bob")
        with pytest.raises(FileMissing, match="Unable to find shared memory region: 'r'"):
            regions.read("bob", "r", 0, 2)
        assert bytes(regions.read("alice", "r", 0, 2)) == b"01"
        with pytest.raises(InputInvalid, match="as many as there may be"):
            regions.register("alice", Registered("s", place.name, 0, 1))
        regions.unregister("alice", "r")
        regions.unregister("alice", "r")
        assert regions.listed("alice") == []
