"""Tensors through shared memory, as users of the client see it: the same answers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from swath.client import AsyncClient, Client, ClientConfig
from swath.client.shared import Place
from swath_standalone.process import ServerProcess

NORM = {
    "name": "norm",
    "class_name": "cuvis_ai.node.normalization.MinMaxNormalizer",
    "hparams": {"use_running_stats": False},
}
PIPELINE = {"nodes": [NORM], "connections": []}
DATA = np.random.default_rng(0).random((1, 64, 64, 32), np.float32)
LOW, HIGH = (edge(DATA.reshape(-1, 32), axis=0) for edge in (np.min, np.max))
SCALED = (DATA - LOW) / (HIGH - LOW)


@pytest.fixture
def placed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What went through shared memory so far: "in" and "out"."""
    found: list[str] = []
    put, get = Place.put, Place.get

    def counted_put(self: Place, value: Any) -> Any:
        found.append("in")
        return put(self, value)

    def counted_get(self: Place, tensor: Any) -> Any:
        array = get(self, tensor)
        if array is not None:
            found.append("out")
        return array

    monkeypatch.setattr(Place, "put", counted_put)
    monkeypatch.setattr(Place, "get", counted_get)
    return found


def _regions(server: ServerProcess) -> int:
    """Regions that the server has open."""
    places = [place for place in Path(f"/proc/{server.pid}/fd").iterdir() if place.is_symlink()]
    return len({place.stat().st_ino for place in places if "swath-region" in os.readlink(place)})


def test_answers_are_the_same_and_outputs_follow_inputs(server: ServerProcess, placed: list[str]) -> None:
    with Client(ClientConfig(target=server.target, shared_memory=True)) as client, client.session() as session:
        session.load_pipeline(PIPELINE)
        # Nobody knows how large the first outputs will be; the second ones are likely to be as large.
        for expected in (["in"], ["in", "out"], ["in", "out"]):
            placed.clear()
            found = session.infer(data=DATA, outputs=["normalized"]).only("normalized")
            assert np.allclose(found, SCALED, atol=1e-5)
            assert placed == expected
        kept = found.copy()
        session.infer(data=np.zeros_like(DATA))
        assert np.array_equal(found, kept)
        assert _regions(server) == 1


def test_arrays_of_any_strides_and_byte_order_go_as_they_are_meant(server: ServerProcess, placed: list[str]) -> None:
    turned = np.asarray(DATA.transpose(0, 2, 1, 3), order="F").astype(">f4").transpose(0, 2, 1, 3)
    with Client(ClientConfig(target=server.target, shared_memory=True)) as client, client.session() as session:
        session.load_pipeline(PIPELINE)
        assert np.allclose(session.infer(data=turned).only("normalized"), SCALED, atol=1e-5)
    assert placed == ["in"]


def test_small_calls_go_in_messages(server: ServerProcess, placed: list[str]) -> None:
    with Client(ClientConfig(target=server.target, shared_memory=True)) as client, client.session() as session:
        session.load_pipeline(PIPELINE)
        session.infer(data=DATA[:, :4, :4])
        assert _regions(server) == 0
    assert placed == []


def test_a_server_that_makes_none_gets_messages(tmp_path: Path, placed: list[str]) -> None:
    with (
        ServerProcess(tmp_path, environment={"SWATH_INFERENCE_SHARED_MEMORY_BYTES": "0"}) as server,
        Client(ClientConfig(target=server.target, shared_memory=True)) as client,
        client.session() as session,
    ):
        session.load_pipeline(PIPELINE)
        assert np.allclose(session.infer(data=DATA).only("normalized"), SCALED, atol=1e-5)
    assert placed == []


def test_a_region_that_ended_with_its_server_is_made_anew(tmp_path: Path, placed: list[str]) -> None:
    with (
        ServerProcess(tmp_path) as server,
        Client(ClientConfig(target=server.target, shared_memory=True)) as client,
        client.session() as session,
    ):
        session.load_pipeline(PIPELINE)
        session.infer(data=DATA)
        server.kill()
        server.start()
        placed.clear()
        for _ in range(2):
            assert np.allclose(session.infer(data=DATA).only("normalized"), SCALED, atol=1e-5)
        assert placed[-2:] == ["in", "out"]


async def test_the_asyncio_client_does_so_too(server: ServerProcess, placed: list[str]) -> None:
    config = ClientConfig(target=server.target, shared_memory=True)
    async with AsyncClient(config) as client, client.session() as session:
        await session.load_pipeline(PIPELINE)
        for _ in range(2):
            found = (await session.infer(data=DATA)).only("normalized")
            assert np.allclose(found, SCALED, atol=1e-5)
    assert placed == ["in", "in", "out"]
