"""Exit codes of workers."""

LOST = 75
"""Of a worker that has lost its server."""
REFUSED = 76
"""Of a worker that the server refused: a newer attempt has begun, or the run is over."""
AWAY = 77
"""Of a worker that could not reach storage for longer than it waits."""
ALONE = 78
"""Of a worker that has lost one of its processes."""
