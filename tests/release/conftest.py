"""Everything that a release consists of, built once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

# `tools` is part of the checkout and of no package.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tools.release_check.building import Built, build_all
from tools.release_check.client_alone import install_client
from tools.release_check.environments import Environment


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> list[Built]:
    """All distributions, as source distributions and as wheels."""
    return build_all(tmp_path_factory.mktemp("release"))


@pytest.fixture(scope="session")
def client(built: list[Built], tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with the client's wheel and what it requires."""
    return install_client(tmp_path_factory.mktemp("client") / "env", built)
