"""Figures of coverage: worked out of a report, beside those that are kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tools import coverage_figures
from tools.coverage_figures import ROOT, compared, figures, main, read

SENTENCE = "The tests run 80.0 % of the code (provisional)."


def measured(lines: tuple[int, int], branches: tuple[int, int] = (0, 0)) -> dict[str, Any]:
    """A file's part of a report: what ran, and what there is."""
    return {
        "summary": {
            "covered_lines": lines[0],
            "num_statements": lines[1],
            "covered_branches": branches[0],
            "num_branches": branches[1],
        }
    }


FILES = {
    "libs/client/src/swath/client/a.py": measured((8, 10), (1, 5)),
    "libs/client/src/swath/client/cli/b.py": measured((5, 5)),
    "services/session/src/swath_session/c.py": measured((10, 20)),
}
NAMES = {"libs/client": "swath", "services/session": "swath-session"}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository of two distributions, which keeps figures and quotes one."""
    for folder, name in NAMES.items():
        (tmp_path / folder / "src").mkdir(parents=True)
        (tmp_path / folder / "pyproject.toml").write_text(f'[project]\nname = "{name}"\n')
    (tmp_path / "tools").mkdir()
    (tmp_path / coverage_figures.KEPT).write_text(json.dumps({"swath": 90.0, "swath-session": 50.2, "all": 80.0}))
    (tmp_path / coverage_figures.PAGE).write_text(SENTENCE)
    (tmp_path / "report.json").write_text(json.dumps({"files": FILES}))
    return tmp_path


def test_a_figure_is_the_share_of_lines_and_branches_that_ran() -> None:
    # swath: 8 + 1 + 5 of 10 + 5 + 5; swath-session: 10 of 20; all: 24 of 40
    assert figures(FILES, NAMES) == {"swath": 70.0, "swath-session": 50.0, "all": 60.0}


def test_code_without_a_single_line_and_code_of_no_distribution_have_no_figure() -> None:
    files = {"libs/client/src/swath/client/empty.py": measured((0, 0)), "elsewhere/a.py": measured((1, 2))}
    assert figures(files, NAMES) == {}


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({"swath": 89.0}, ["coverage fell: swath 91.2 -> 89.0"]),
        ({"swath": 90.6}, ["coverage fell: swath 91.2 -> 90.6"]),
        ({"swath": 90.7}, []),
        ({"swath": 95.0}, []),
        ({"swath": 91.2, "swath-new": 40.0}, ["coverage new: swath-new 40.0"]),
        ({}, ["coverage gone: swath, 91.2 before"]),
    ],
)
def test_what_fell_by_more_than_half_a_point_is_said(found: dict[str, float], said: list[str]) -> None:
    assert list(compared(found, {"swath": 91.2})) == said


def test_the_report_is_printed_and_nothing_is_changed(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(repository / "report.json")], repository)
    printed = capsys.readouterr().out.splitlines()
    assert printed[1:4] == [
        "  swath               70.0 %  -20.0",
        "  swath-session       50.0 %   -0.2",
        "  all                 60.0 %  -20.0",
    ]
    assert printed[4:] == ["coverage fell: swath 90.0 -> 70.0", "coverage fell: all 80.0 -> 60.0"]
    assert read(repository)["swath"] == 90.0
    assert (repository / coverage_figures.PAGE).read_text() == SENTENCE


def test_figures_are_kept_when_that_is_asked_for(repository: Path) -> None:
    main([str(repository / "report.json"), "--write"], repository)
    assert read(repository) == {"swath": 70.0, "swath-session": 50.0, "all": 60.0}
    assert (repository / coverage_figures.PAGE).read_text() == "The tests run 60.0 % of the code."


def test_a_page_that_quotes_no_figure_is_not_passed_over(repository: Path) -> None:
    (repository / coverage_figures.PAGE).write_text("Nothing is known.")
    with pytest.raises(ValueError, match=r"must quote one figure"):
        main([str(repository / "report.json"), "--write"], repository)


def test_contributing_quotes_the_figure_that_is_kept() -> None:
    assert (
        f"tests run {read(ROOT)[coverage_figures.WHOLE]:.1f} % of the code"
        in (ROOT / coverage_figures.PAGE).read_text()
    )
