"""What the serving process sends to the processes that compose. Imports no Hydra, which takes long."""

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


def resolve(request: Request) -> bytes:
    """Run `swath_config.composition.compose.resolve` here, in the process of a pool."""
    from swath_config.composition import compose

    return compose.resolve(request)


def warm() -> None:
    """Have this process of a pool ready to compose."""
    from swath_config.composition import compose

    assert compose.resolve
