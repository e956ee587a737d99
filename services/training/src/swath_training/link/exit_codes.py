"""Exit codes of workers."""

LOST = 75
"""Exit code of a worker that has lost its server."""
REFUSED = 76
"""Exit code of a worker that the server refused: a newer attempt has begun, or the run is over."""
AWAY = 77
"""Exit code of a worker that could not reach storage for longer than it waits."""
ALONE = 78
"""Exit code of a worker that has lost one of its processes."""
