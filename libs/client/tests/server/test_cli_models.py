"""``swath publish``, ``models``, ``alias`` and ``unpublish`` against a real server, and the clients' forms of them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from swath.client import (
    AsyncClient,
    Client,
    ConflictError,
    InvalidArgumentError,
    NotFoundError,
    PreconditionError,
    Session,
)

from .conftest import SCALE, Swath, refused, said

pytestmark = pytest.mark.xdist_group("client-server")


@pytest.fixture(autouse=True)
def nothing_published(client: Client) -> Iterator[None]:
    yield
    for model in client.models.list():
        client.models.unpublish(model.name)


_numbers = count(1)


@pytest.fixture
def name() -> str:
    """Name that no other test has: numbers of versions go on after a model is gone."""
    return f"rx-{next(_numbers)}"


@pytest.fixture
def scaling(session: Session) -> Session:
    """A session whose pipeline needs no weights."""
    session.load_pipeline(SCALE)
    return session


def other(number: int) -> dict:
    """A pipeline of another digest."""
    return {**SCALE, "metadata": {"name": f"Scale {number}"}}


class TestCommands:
    def test_a_models_life(self, swath: Swath, name: str, scaling: Session) -> None:
        assert said(swath("models")) == ["no model is published; swath publish NAME PIPELINE does it"]
        what = (
            "publish",
            name,
            "--from-session",
            scaling.id,
            "--alias",
            "stable",
            "--label",
            "site=San Diego",
            "--pin",
        )
        assert said(swath(*what)) == [f"published {name} version 1", "  stable → 1"]
        assert said(swath(*what)) == [f"was published already as {name} version 1", "  stable → 1"]
        scaling.load_pipeline(other(1))
        assert said(swath("publish", name, "--from-session", scaling.id, "--description", "Brighter [x]")) == [
            f"published {name} version 2"
        ]
        assert said(swath("alias", name, "stable", "1", "2:5")) == [f"{name} stable → 1 (95 %), 2 (5 %)  before: 1"]
        table = said(swath("models"))
        assert table[0].split() == ["model", "versions", "aliases", "labels"]
        assert f"{name} (pinned)" in table[-1]
        assert "stable → 1 (95 %), 2 (5 %)" in table[-1]
        assert table[-1].endswith("site=San Diego")
        shown = [" ".join(line.split()) for line in said(swath("models", name))]
        assert any(line.startswith("2 20") and line.endswith("· Brighter [x]") for line in shown)
        assert any(line.startswith("data float32 [· · · ·]") for line in shown)
        assert said(swath("alias", name, "stable", "--rollback")) == [f"{name} stable → 1  before: 1 (95 %), 2 (5 %)"]
        assert said(swath("alias", name, "stable", "--remove")) == [f"removed {name} stable"]
        assert said(swath("unpublish", name, "1")) == [f"unpublished {name} version 1"]
        assert said(swath("unpublish", name)) == [f"unpublished {name}"]
        assert f"Model '{name}' not found" in refused(swath("models", name))

    def test_weights_beside_a_pipeline_are_published_with_it(
        self, swath: Swath, name: str, client: Client, trained: str
    ) -> None:
        with client.restore(trained, "runs/tiny_pipeline.pt") as restored:
            restored.save_pipeline("tiny/fitted.yaml")
        assert said(swath("publish", name, "tiny/fitted")) == [f"published {name} version 1"]
        (version,) = client.models.get(name).model.versions
        assert version.HasField("weights_digest")
        assert said(swath("publish", name, "tiny/fitted", "runs/tiny_pipeline.pt")) == [
            f"was published already as {name} version 1"
        ]
        assert client.models.get(name).model.revision == 1

    def test_what_needs_a_fit_is_refused_and_leaves_no_session(self, swath: Swath, name: str, client: Client) -> None:
        line = refused(swath("publish", name, "tiny/rx"))
        assert "Nodes rx need a statistical fit before the pipeline can be published" in line
        assert client.models.list() == []

    def test_who_may_call_and_change_it_is_changed(self, swath: Swath, name: str, client: Client) -> None:
        assert said(swath("publish", name, "tiny/scale", "--caller", "bob", "--label", "a=b"))
        shown = said(swath("update", name, "--caller", "ann", "--caller", "eve", "--editor", "eve", "--pin"))
        assert shown[0].endswith("revision 2 · pinned")
        assert shown[1:] == ["callers  ann, eve", "editors  eve", "labels  a=b"]
        model = client.models.get(name).model
        assert (list(model.callers), list(model.editors), model.pinned) == (["ann", "eve"], ["eve"], True)
        cleared = ("--clear", "callers", "--clear", "editors", "--label", "site=San Diego")
        (changed,) = map(json.loads, said(swath("update", name, *cleared, "--no-pin", "--json")))
        assert (changed["labels"], changed["revision"]) == ({"site": "San Diego"}, "3")
        assert (changed["callers"], changed["editors"], changed["pinned"]) == ([], [], False)
        assert said(swath("update", name, "--clear", "labels"))[1:] == [
            "callers  everybody",
            "editors  the owner alone",
        ]
        assert "say what to change" in refused(swath("update", name))
        assert "expected labels, callers, editors, got 'versions'" in refused(
            swath("update", name, "--clear", "versions")
        )
        assert "exclude one another" in refused(swath("update", name, "--clear", "callers", "--caller", "ann"))
        assert "KEY=VALUE" in refused(swath("update", name, "--label", "site"))
        assert "Model 'nothing' not found" in refused(swath("update", "nothing", "--pin"))
        assert client.models.get(name).model.revision == 4

    def test_programs_get_json(self, swath: Swath, name: str) -> None:
        (published,) = map(json.loads, said(swath("publish", name, "tiny/scale", "--caller", "bob", "--json")))
        assert (published["name"], published["number"], published["existed"]) == (name, "1", False)
        (listed,) = map(json.loads, said(swath("models", "--json")))
        assert (listed["name"], listed["callers"]) == (name, ["bob"])
        deadline = time.monotonic() + 60
        shown: dict[str, Any] = {"states": []}
        while not shown["states"]:
            # The replica says what it has a moment after it was told.
            assert time.monotonic() < deadline
            (shown,) = map(json.loads, said(swath("models", name, "--json")))
        (state,) = shown["states"]
        assert (shown["revision"], state["name"], state["version"]) == ("1", name, "1")

    def test_labels_find_models(self, swath: Swath) -> None:
        swath("publish", "a", "tiny/scale", "--label", "site=x")
        swath("publish", "b", "tiny/scale")
        assert [line.split()[0] for line in said(swath("models", "--label", "site=x"))[2:]] == ["a"]
        assert said(swath("models", "--label", "site=y")) == ["no model has these labels"]

    @pytest.mark.parametrize(
        ("arguments", "text"),
        [
            (("publish", "rx"), "say what to publish: a pipeline, or --from-session ID"),
            (("publish", "rx", "tiny/scale", "--from-session", "x"), "say what to publish"),
            (("publish", "../rx", "tiny/scale"), "name of the model: expected 1 to 128 letters"),
            (("publish", "rx", "tiny/scale", "--alias", "7"), "not digits alone, got '7'"),
            (("publish", "rx", "tiny/scale", "--label", "x"), "--label: expected KEY=VALUE, got 'x'"),
            (("alias", "rx", "stable"), "say where the alias is to point"),
            (("alias", "rx", "stable", "1", "--rollback"), "say where the alias is to point"),
            (("alias", "rx", "stable", "one"), "expected VERSION or VERSION:PERCENT"),
            (("alias", "rx", "stable", "1"), "Model 'rx' not found"),
            (("unpublish", "rx"), "Model 'rx' not found"),
        ],
    )
    def test_what_is_wrong_is_said_in_a_line(self, swath: Swath, arguments: tuple[str, ...], text: str) -> None:
        assert text in refused(swath(*arguments))


def test_the_blocking_client(client: Client, name: str, scaling: Session) -> None:
    models = client.models
    first = models.publish(name, scaling, aliases=["stable"], labels={"a": "b"}, callers=["bob"], pinned=True)
    assert (first.version, first.existed, first.model.pinned) == (1, False, True)
    scaling.load_pipeline(other(1))
    second = models.publish(name, scaling.id, editors=["eve"], pinned=False)
    assert (second.version, list(second.model.callers), list(second.model.editors)) == (2, ["bob"], ["eve"])
    assert (second.model.pinned, dict(second.model.labels)) == (False, {"a": "b"})
    moved = models.set_alias(name, "stable", {1: 95, 2: 5}, revision=second.model.revision)
    with pytest.raises(ConflictError, match="was changed meanwhile"):
        models.set_alias(name, "stable", 2, revision=second.model.revision)
    assert [(share.version, share.percent) for share in moved.aliases[0].targets] == [(1, 95), (2, 5)]
    with pytest.raises(PreconditionError, match="while alias stable points at it"):
        models.unpublish(name, 2)
    assert models.roll_back_alias(name, "stable").aliases[0].targets[0].version == 1
    assert dict(models.update(name, labels={}, callers=[]).labels) == {}
    with pytest.raises(InvalidArgumentError, match="mask: expected some of"):
        models.update(name)
    assert not models.remove_alias(name, "stable").aliases
    models.unpublish(name, 2)
    assert [each.number for each in models.get(name).model.versions] == [1]
    assert models.list({"a": "b"}) == []


async def test_the_asyncio_client(aio: AsyncClient, name: str, scaling: Session) -> None:
    async with aio:
        models = aio.models
        await models.publish(name, scaling.id, aliases=["stable"], pinned=True)
        await models.set_alias(name, "canary", 1)
        found = await models.get(name)
        assert [alias.name for alias in found.model.aliases] == ["canary", "stable"]
        assert [model.name for model in await models.list()] == [name]
        assert not (await models.update(name, pinned=False)).pinned
        with pytest.raises(PreconditionError, match="pointed nowhere before"):
            await models.roll_back_alias(name, "canary")
        assert len((await models.remove_alias(name, "canary")).aliases) == 1
        await models.unpublish(name)
        with pytest.raises(NotFoundError):
            await models.get(name)
