"""What the serving process has the processes of its pool run. It imports no Hydra itself, which takes long."""

from __future__ import annotations

from swath_config.request import Request


def resolve(request: Request) -> bytes:
    """Run `swath_config.composition.compose.resolve` here, in the process of a pool."""
    from swath_config.composition import compose

    return compose.resolve(request)


def warm() -> None:
    """Have this process of a pool ready to compose."""
    from swath_config.composition import compose

    assert compose.resolve
