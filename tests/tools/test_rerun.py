"""Tests that failed run once more by themselves, unless too many did."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tools import rerun

PASSES_ALONE = """
import pytest
from pathlib import Path

def test_steady():
    pass

@pytest.mark.xdist_group("a-group")
@pytest.mark.parametrize("name", ["x", "z"])
def test_unsteady(name):
    Path("ran").mkdir() if name == "x" else None
    assert Path("ran").exists() and not Path("shared").exists()
"""


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with tests, in which this process stands."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_here.py").write_text(PASSES_ALONE)
    return tmp_path


def run(*arguments: str) -> int:
    return subprocess.run([sys.executable, "-m", "pytest", "-q", *arguments]).returncode


def test_a_test_that_passes_by_itself_is_named(suite: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (suite / "shared").mkdir()
    assert run("-n", "1", "--dist", "loadgroup", "test_here.py::test_unsteady[x]") == 1
    (suite / "shared").rmdir()
    (suite / "ran").rmdir()
    capfd.readouterr()
    assert rerun.main() == 0
    assert capfd.readouterr().err.splitlines() == [
        "UNSTABLE: test_here.py::test_unsteady[x] failed, and passed when it ran by itself; its failure is above"
    ]


def test_a_test_that_fails_again_is_a_failure(suite: Path) -> None:
    (suite / "shared").mkdir()
    assert run() == 1
    assert rerun.main() == 1


def test_many_failures_are_not_tried_again(suite: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (suite / "test_here.py").write_text(
        "import pytest\n@pytest.mark.parametrize('n', range(4))\ndef test_no(n): assert 0\n"
    )
    assert run() == 1
    assert rerun.main() == 1
    assert "4 tests are on record as failed; 1 to 3 are tried again" in capfd.readouterr().err


def test_a_run_that_left_no_record_is_a_failure(suite: Path) -> None:
    assert rerun.main() == 1
