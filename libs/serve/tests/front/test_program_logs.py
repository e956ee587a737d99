"""Log lines of calls in a user's own program, in a process of its own: logging is the process's."""

import subprocess
import sys

import pytest

PROGRAM = """
import logging, structlog
{first}
from swath.serve.front import log_by_the_standard_library
log_by_the_standard_library()
log = structlog.get_logger("swath.access")
with structlog.contextvars.bound_contextvars(request="1"):
    log.info("call", method="/a.B/C", code="OK")
    try:
        raise ValueError("why")
    except ValueError:
        log.error("call failed", exc_info=True)
"""


@pytest.mark.parametrize(
    ("first", "lines"),
    [
        ("", ["call failed request=1", "ValueError: why"]),
        (
            "logging.basicConfig(level=logging.INFO, format='%(name)s %(message)s')",
            ["swath.access call code=OK method=/a.B/C request=1", "swath.access call failed request=1"],
        ),
        ("structlog.configure(processors=[structlog.processors.JSONRenderer()])", ['"event": "call"']),
    ],
)
def test_they_go_where_the_program_has_them(first, lines):
    said = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(first=first)], capture_output=True, text=True, check=True, timeout=60
    )
    for line in lines:
        assert line in said.stdout + said.stderr
    assert ("code=OK" in said.stderr) == ("basicConfig" in first)
