"""Log lines of calls in a user's own program."""

from __future__ import annotations

import structlog


def log_by_the_standard_library() -> None:
    """Have log lines of calls go where the program's own `logging` sends them, as those of other libraries do.

    Nothing changes where structlog is set up, as it is in Swath's processes: otherwise it prints each line.
    """
    if structlog.is_configured():
        return
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0),
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
