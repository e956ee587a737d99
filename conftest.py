"""What every test can use."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

import pytest

from swath.rpc.server.reactor import TurnLoop

pytest_plugins = ["swath_suite.testing.server_logs", "swath_suite.testing.fixtures"]


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run tests in the loop that processes of Swath have, and so with their servers."""
    return {"turns": TurnLoop}


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name a long argument by its beginning: names of tests are for people."""
    if isinstance(val, str | bytes) and len(val) > 80:
        return f"{val[:20]!r}... ({len(val)})"
    return None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what a run of all tests has not run."""
    if not os.environ.get("SWATH_E2E"):
        terminalreporter.write_line("Left out: tests/cluster, which needs a Kubernetes cluster. `make e2e` runs it.")
