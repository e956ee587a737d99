"""What log lines hold, and what they do not."""

import json
import logging

import pytest
import structlog

from swath.runtime.logs import configure_logs, flush_logs
from swath.runtime.settings import ServerSettings


@pytest.fixture
def log(capsys):
    """Configures logs in a form, fails once, and returns what was written."""
    root = logging.getLogger()
    before = root.handlers[:], root.level

    def write(form):
        configure_logs(ServerSettings(log_format=form))
        secret = "what a client sent"  # noqa: F841
        try:
            raise ZeroDivisionError("the cause")
        except ZeroDivisionError:
            structlog.get_logger("test").bind().exception("call failed")
        flush_logs()
        return capsys.readouterr().err

    yield write
    structlog.reset_defaults()
    root.handlers[:], root.level = before


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_failure_is_logged_with_its_cause_and_without_local_variables(log, form):
    text = log(form)
    assert "call failed" in text
    assert "the cause" in text
    assert "secret" not in text.replace('secret = "what a client sent"', "")
    assert form == "text" or json.loads(text)["logger"] == "test"


def test_fields_of_the_standard_librarys_loggers_are_kept(log, capsys):
    log("json")
    logging.getLogger("swath.files").warning("changed files cannot be used", extra={"files": "a", "error": "b"})
    flush_logs()
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["files"], line["error"]) == ("changed files cannot be used", "a", "b")
