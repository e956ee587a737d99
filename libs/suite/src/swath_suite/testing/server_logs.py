"""What servers logged while a test failed: clients are told no causes of internal errors. A pytest plugin."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

FOLDERS: list[Path] = []
"""Folders with logs besides pytest's own temporary ones."""

_TROUBLE = re.compile(r"\[(error|critical) *\]|\"level\": *\"(error|critical)\"|^Traceback", re.MULTILINE)
_MAX_LINES = 60


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to the report of a failure what its servers logged meanwhile."""
    report = yield
    if report.failed:
        folders = [item.config._tmp_path_factory.getbasetemp(), *FOLDERS]  # type: ignore[attr-defined]
        for log in _written(folders, call.start):
            lines = troubles(log.read_text(errors="replace"))
            if lines:
                report.sections.append((f"errors in {log.name}", "\n".join(lines)))
    return report


def troubles(text: str) -> list[str]:
    """Return the last lines of a log around its last error; nothing if it has none."""
    lines = text.splitlines()
    last = max((at for at, line in enumerate(lines) if _TROUBLE.search(line)), default=None)
    return [] if last is None else lines[max(0, last - _MAX_LINES // 2) :][:_MAX_LINES]


def _written(folders: list[Path], since: float) -> Iterator[Path]:
    """The log files that were written since a Unix time."""
    for folder in folders:
        yield from (log for log in sorted(folder.rglob("*.log")) if log.is_file() and log.stat().st_mtime >= since)
