"""What the serving process sends to the processes that compose."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Request:
    """What ResolveConfig asks for.

    Attributes:
        workspace: `Workspace.local_spec()` as JSON.
        search_paths: The session's search paths; none mean the configs root.
        kind: What kind of document it is to be.
        path: The file: absolute, or relative to a search path; `.yaml` may be left out.
        overrides: Overrides, in order.
    """

    workspace: str
    search_paths: tuple[str, ...]
    kind: str
    path: str
    overrides: tuple[str, ...] = ()
