"""A connection that breaks off in the middle of a file: the rest of it is sent over the next one."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest

from swath.client import AsyncClient, Client, ClientConfig, NotFoundError, RetryConfig, UnavailableError
from swath.workspace.v1 import workspace_pb2 as wpb
from swath.workspace.v1.workspace_pb2_grpc import WorkspaceServiceStub
from swath_standalone.process import ServerProcess

from .conftest import Relay

pytestmark = pytest.mark.xdist_group("client-server")

SIZE = 6_000_000
HALF = 3_000_000


@pytest.fixture
def data() -> bytes:
    """Bytes that the server has never seen."""
    return os.urandom(SIZE)


@pytest.fixture
def arrived(server: ServerProcess) -> Iterator[Callable[[bytes, str], int]]:
    """Returns how much of an upload the server has, once that is something."""
    with grpc.insecure_channel(server.target) as channel:
        stub = WorkspaceServiceStub(channel)

        def wait(data: bytes, path: str) -> int:
            request = wpb.ResumePutRequest(path=path, sha256=hashlib.sha256(data).hexdigest())
            while not (known := stub.ResumePut(request)).offset:
                time.sleep(0.01)
            return known.offset

        yield wait


def test_an_upload_goes_on_where_it_was_cut(
    shaky: ClientConfig, relay: Relay, client: Client, data: bytes, arrived: Callable[[bytes, str], int]
) -> None:
    relay.cuts = [(HALF, -1)]
    # A call that is broken off before the server has read anything of it leaves nothing to go on with.
    relay.before_cut = lambda: arrived(data, "broken/up.bin")
    with Client(shaky.with_(retry=RetryConfig(attempts=1))) as cut, pytest.raises(UnavailableError):
        cut.workspace.put(data, "broken/up.bin")
    offset = arrived(data, "broken/up.bin")
    seen: list[int] = []
    assert client.workspace.put(data, "broken/up.bin", lambda done, _: seen.append(done)).size == SIZE
    # The server may write what it had read for a moment longer.
    assert 0 < offset <= seen[0] <= HALF
    assert client.workspace.read("broken/up.bin") == data


def test_a_client_tries_again_by_itself(shaky: ClientConfig, relay: Relay, client: Client, data: bytes) -> None:
    relay.cuts = [(HALF, -1), (HALF // 2, -1)]
    with Client(shaky) as cut:
        cut.workspace.put(data, "broken/again.bin")
    assert client.workspace.read("broken/again.bin") == data
    assert relay.cuts == []


async def test_an_asyncio_client_tries_again_too(
    shaky: ClientConfig, relay: Relay, client: Client, data: bytes
) -> None:
    relay.cuts = [(HALF, -1), (HALF // 2, -1)]
    async with AsyncClient(shaky) as cut:
        await cut.workspace.put(data, "broken/async.bin")
    assert client.workspace.read("broken/async.bin") == data
    assert relay.cuts == []


def test_a_download_goes_on_where_it_was_cut(
    shaky: ClientConfig, relay: Relay, client: Client, data: bytes, tmp_path: Path
) -> None:
    client.workspace.put(data, "broken/down.bin")
    relay.cuts = [(-1, HALF)]
    seen: list[int] = []
    with Client(shaky) as cut:
        cut.workspace.get("broken/down.bin", tmp_path / "down.bin", lambda done, _: seen.append(done))
    assert (tmp_path / "down.bin").read_bytes() == data
    assert seen == sorted(seen)
    assert relay.cuts == []


async def test_a_download_by_asyncio_goes_on_too(
    shaky: ClientConfig, relay: Relay, client: Client, data: bytes, tmp_path: Path
) -> None:
    client.workspace.put(data, "broken/down.bin")
    relay.cuts = [(-1, HALF)]
    async with AsyncClient(shaky) as cut:
        await cut.workspace.get("broken/down.bin", tmp_path / "down.bin")
    assert (tmp_path / "down.bin").read_bytes() == data
    assert relay.cuts == []


async def test_a_client_that_may_not_try_again_says_what_broke(
    shaky: ClientConfig, relay: Relay, client: Client, data: bytes
) -> None:
    relay.cuts = [(HALF, -1)]
    async with AsyncClient(shaky.with_(retry=RetryConfig(attempts=1))) as cut:
        with pytest.raises(UnavailableError):
            await cut.workspace.put(data, "broken/once.bin")
    with pytest.raises(NotFoundError):
        client.workspace.stat("broken/once.bin")


def test_a_download_that_fails_keeps_what_it_has(
    shaky: ClientConfig, relay: Relay, client: Client, data: bytes, tmp_path: Path
) -> None:
    client.workspace.put(data, "broken/down.bin")
    relay.cuts = [(-1, HALF)]
    with Client(shaky.with_(retry=RetryConfig(attempts=1))) as cut, pytest.raises(UnavailableError):
        cut.workspace.get("broken/down.bin", tmp_path / "down.bin")
    kept = (tmp_path / "down.bin.part").read_bytes()
    assert 0 < len(kept) < HALF
    assert data.startswith(kept)
    client.workspace.get("broken/down.bin", tmp_path / "down.bin")
    assert (tmp_path / "down.bin").read_bytes() == data
