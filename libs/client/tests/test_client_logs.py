"""Log lines of a run: through cuts, as objects and on the screen."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from swath.client import AsyncClient, Client, NotFoundError
from swath.client.cli import app

from .conftest import Flaky, FlakyRuns

NUMBERS = [1, 2, 4, 5, 6]

runner = CliRunner()


def test_lines_go_on_where_a_stream_was_cut(flaky: tuple[Flaky, str], flaky_runs: FlakyRuns) -> None:
    with Client(flaky[1]) as client:
        lines = list(client.logs("run-1", follow=True))

    assert [line.number for line in lines] == NUMBERS
    assert [(asked.after, asked.follow) for asked in flaky_runs.asked] == [(0, True), (2, True)]
    assert (lines[-1].attempt, lines[-1].level, lines[-1].facts) == (2, "error", {"node": "rx"})
    assert lines[0].time == 1_700_000_001


async def test_lines_of_the_asyncio_client_are_the_same(flaky: tuple[Flaky, str]) -> None:
    async with AsyncClient(flaky[1]) as client:
        assert [line.number async for line in client.logs("run-1")] == NUMBERS


def test_a_run_that_is_not_there(flaky: tuple[Flaky, str]) -> None:
    with Client(flaky[1]) as client, pytest.raises(NotFoundError, match="Run nowhere not found"):
        next(client.logs("nowhere"))


def test_a_session_knows_the_run_that_it_trains(flaky: tuple[Flaky, str]) -> None:
    with Client(flaky[1]) as client:
        session = client.attach("s1")
        next(session.train())
        assert session.run_id == "run-1"


def test_the_command_prints_lines_for_people(flaky: tuple[Flaky, str]) -> None:
    result = runner.invoke(app, ["logs", "run-1", "--follow", "--target", flaky[1]])

    assert result.exit_code == 0
    first, second, dropped, *_, last, trace, cause = result.output.splitlines()
    assert first.endswith(" #1 info     line 1")
    assert second.endswith(" #1 info     line 2")
    assert dropped == "... dropped: 1"
    assert last.endswith(" #2 error    line 6  node=rx")
    assert (trace, cause) == ("Traceback ...", "ValueError: no band")


def test_the_command_prints_lines_for_machines(flaky: tuple[Flaky, str]) -> None:
    result = runner.invoke(app, ["logs", "run-1", "--json", "--target", flaky[1]])

    lines = [json.loads(line) for line in result.output.splitlines()]
    assert [line["number"] for line in lines] == NUMBERS
    assert lines[-1] == {
        "number": 6,
        "attempt": 2,
        "time": 1_700_000_006,
        "level": "error",
        "text": "line 6",
        "logger": "",
        "exception": "Traceback ...\nValueError: no band",
        "facts": {"node": "rx"},
    }


def test_the_command_knows_no_run_of_others(flaky: tuple[Flaky, str]) -> None:
    result = runner.invoke(app, ["logs", "nowhere", "--target", flaky[1]])

    assert result.exit_code == 1
    assert "Run nowhere not found" in result.stderr
