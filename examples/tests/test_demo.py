"""The demo, as `make demo` runs it."""

import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import EXAMPLES


def demo(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLES / "demo"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=240)


@pytest.mark.timeout(300)
def test_demo_survives_the_kill_and_draws_its_picture(tmp_path: Path) -> None:
    done = demo("--output", tmp_path / "demo.png")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SIGKILL, and back" in done.stdout
    assert "bit-equal" in done.stdout
    assert (tmp_path / "demo.png").stat().st_size > 100_000


@pytest.mark.timeout(300)
def test_demo_drives_a_server_that_runs_already_and_kills_nothing(server: str, tmp_path: Path) -> None:
    done = demo("--target", server, "--output", tmp_path / "demo.png")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" in done.stdout


def test_demo_says_in_one_sentence_what_went_wrong(tmp_path: Path) -> None:
    done = demo("--target", "127.0.0.1:1", "--output", tmp_path / "demo.png")
    assert done.returncode == 1
    assert "The demo failed: no server answers at 127.0.0.1:1" in done.stdout
