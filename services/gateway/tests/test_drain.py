"""A gateway that is about to go says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from swath.errors import Unavailable
from swath_gateway import GatewaySettings
from swath_gateway.drain import drain


def test_it_says_that_it_goes_and_runs_on(gateway: Callable) -> None:
    running = gateway(drain_grace_s=1.0)
    assert drain(running.settings, running.folder) == 0
    assert running.ready() == 503


def test_where_none_runs_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no gateway"):
        drain(GatewaySettings(drain_grace_s=1.0), tmp_path)
