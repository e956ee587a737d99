"""A client at the suite's gateway."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from swath.client import Client, NotFoundError, Session
from swath_suite.suite import Suite

SCENE = Path(__file__).resolve().parents[2] / "examples" / "data" / "san_diego.npz"


@pytest.fixture
def client(suite: Suite) -> Iterator[Client]:
    """A client with a connection of its own, so that no test rests on where an earlier one's calls went."""
    with Client(suite.target) as client:
        yield client


@pytest.fixture(scope="session")
def scene() -> dict[str, np.ndarray]:
    """The real San Diego scene: cube [100, 100, 189], mask [100, 100], wavelengths [189]."""
    with np.load(SCENE) as arrays:
        return {name: arrays[name] for name in arrays.files}


@pytest.fixture
def configured(client: Client) -> Iterator[Session]:
    """A session that is about to train RX on the scene; it is closed in the end, if the test has not done so."""
    client.workspace.put(str(SCENE), "data/san_diego.npz")
    session = client.open_session()
    session.set_run_config(session.resolve("trainrun", "trainrun/san_diego_rx"))
    yield session
    with suppress(NotFoundError):
        session.close()
