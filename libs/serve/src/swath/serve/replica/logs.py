"""Log lines of users' code: each says application, deployment, replica and, within a request, its id and trace."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import Any

from swath.rpc.line_writer import Unblocked
from swath.serve.context import running

_FORMAT = "%(asctime)s %(levelname)s %(application)s/%(deployment)s %(replica)s %(request_id)s %(name)s: %(message)s"

_output = Unblocked(sys.stderr)

_where = {"application": "", "deployment": "", "replica": ""}


class _Facts(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        request = running.get()
        for name, value in _where.items():
            setattr(record, name, value)
        if not hasattr(record, "request_id"):
            record.request_id = request.facts.request_id if request else "-"
        record.traceparent = request.facts.traceparent if request else ""
        return True


def start(settings: Mapping[str, Any]) -> None:
    """Write log lines to standard error, unless the user's code has said where they go."""
    _where.update(application=settings["application"], deployment=settings["deployment"])
    root = logging.getLogger()
    if not root.handlers:
        # Where nobody reads, a line must not hold up the event loop, and with it all calls of the replica.
        handler = logging.StreamHandler(_output)
        handler.setFormatter(logging.Formatter(_FORMAT))
        root.addHandler(handler)
        root.setLevel(logging.INFO)
    for handler in root.handlers:
        handler.addFilter(_Facts())


def named(replica: str) -> None:
    """Say which replica the lines are of."""
    _where["replica"] = replica


def end() -> None:
    """Write what is left; the process ends then."""
    _output.end()
