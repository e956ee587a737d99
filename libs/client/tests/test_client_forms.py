"""The blocking client and the asyncio client are one: the same methods, with the same arguments."""

import inspect

import pytest

from swath.client import (
    AsyncClient,
    AsyncInferenceStream,
    AsyncSession,
    AsyncWorkspace,
    Client,
    InferenceStream,
    Session,
    Workspace,
)
from swath.client.applications import Applications, AsyncApplications

PAIRS = [
    (Client, AsyncClient),
    (Session, AsyncSession),
    (InferenceStream, AsyncInferenceStream),
    (Workspace, AsyncWorkspace),
    (Applications, AsyncApplications),
]


def _arguments(kind: type) -> dict[str, list[tuple[str, object, object]]]:
    return {
        name: [(each.name, each.kind, each.default) for each in inspect.signature(method).parameters.values()]
        for name, method in vars(kind).items()
        if inspect.isfunction(method) and not name.startswith("_")
    }


@pytest.mark.parametrize(("blocking", "asyncio"), PAIRS, ids=lambda kind: kind.__name__)
def test_both_forms_have_the_same_methods_with_the_same_arguments(blocking: type, asyncio: type) -> None:
    assert _arguments(blocking) == _arguments(asyncio)


@pytest.mark.parametrize("kind", [kind for pair in PAIRS for kind in pair], ids=lambda kind: kind.__name__)
def test_every_method_says_what_it_does(kind: type) -> None:
    assert [name for name in _arguments(kind) if not inspect.getdoc(getattr(kind, name))] == []
