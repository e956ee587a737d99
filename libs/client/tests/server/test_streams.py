"""Streams of frames that are larger than what a connection holds."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from swath.client import AsyncClient, Session

from .conftest import SCALE

pytestmark = pytest.mark.xdist_group("client-server")

SHAPE = (1, 512, 512, 8)
"""8 MiB of float32, as its result has."""
FRAMES = 8
"""Twice as many as the server takes ahead."""


@pytest.fixture
def scaling(session: Session) -> Session:
    """A session that answers a frame with one of the same size: each channel scaled to 0..1."""
    session.load_pipeline(SCALE)
    return session


def frame(number: int) -> np.ndarray:
    """A frame of two values; one pixel, of which there is one per frame, is the larger."""
    made = np.full(SHAPE, number, np.float32)
    made[0, number, number] += 3
    return made


def scaled(number: int) -> np.ndarray:
    made = np.zeros(SHAPE, np.float32)
    made[0, number, number] = 1
    return made


async def test_large_frames_and_results_do_not_wait_for_one_another(aio: AsyncClient, scaling: Session) -> None:
    found = []
    async with asyncio.timeout(60), aio, aio.stream(scaling.id) as stream:
        assert stream.frames_ahead < FRAMES
        async for result in stream.run({"data": frame(number)} for number in range(FRAMES)):
            np.testing.assert_allclose(result.value().only("normalized"), scaled(result.id), atol=1e-5)
            found.append(result.id)
    assert found == list(range(FRAMES))
