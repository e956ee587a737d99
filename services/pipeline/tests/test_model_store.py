"""Published models in SQL: nothing that was acknowledged is lost, no number is given twice, no version ever changes."""

from __future__ import annotations

import asyncio
import dataclasses
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import Float, bindparam
from sqlalchemy.ext.asyncio import AsyncEngine

from swath.errors import InvalidInput, ModelQuota
from swath.published.model import Alias, Model, ModelVersion, ReplicaState, Share, State, TensorSpec
from swath.storage.sql.engine import open_engine
from swath_pipeline import ModelStore
from swath_pipeline.models.changes import with_version
from swath_pipeline.models.tables import SCHEMA


def digest(number: int) -> str:
    return f"sha256:{number:064x}"


def version(number: int, content: int = 0) -> ModelVersion:
    return ModelVersion(number, digest(content or number), published_at=1.5)


async def add(store: ModelStore, content: int, *, name: str = "rx", owner: str = "ann") -> Model:
    """Publish a version of a content under a model."""

    def decide(model: Model | None, number: int) -> Model:
        return with_version(model or Model(name, owner=owner), version(number, content))[0]

    after = (await store.change(name, decide)).after
    assert after is not None
    return after


def numbers(model: Model | None) -> list[int]:
    return [] if model is None else [each.number for each in model.versions]


async def test_a_model_is_read_as_it_was_written(model_store: ModelStore) -> None:
    spec = TensorSpec("cube", "float32", (-1, -1, -1, 61), optional=True, description="Radiance")
    full = ModelVersion(1, digest(1), digest(2), (spec,), (spec,), 12.5, "eve", "the first\nof many", ('{"a": 1}',))
    shares = (Share(1, 100.0),)
    model = Model("rx", "ann", 1, (full,), (Alias("stable", shares, shares),), {"a": "b"}, ("bob",), ("eve",), True)
    changed = await model_store.change("rx", lambda *_: model)
    assert (changed.before, changed.after) == (None, model)
    assert await model_store.find("rx") == model
    assert await model_store.all() == (model,)
    assert await model_store.find("other") is None


async def test_each_change_has_a_revision_and_what_changes_nothing_has_none(model_store: ModelStore) -> None:
    assert [(await add(model_store, content)).revision for content in (1, 2, 2, 3)] == [1, 2, 2, 3]


async def test_models_come_by_name_with_their_own_versions(model_store: ModelStore) -> None:
    for name in ("b", "a", "c"):
        await add(model_store, 1, name=name)
    await add(model_store, 2, name="a")
    assert [(each.name, numbers(each)) for each in await model_store.all()] == [("a", [1, 2]), ("b", [1]), ("c", [1])]


async def test_publishers_that_meet_lose_nothing(model_store: ModelStore, database: Path | str) -> None:
    # Another replica: of a file, another process's connections to it.
    other = ModelStore(open_engine(database, schema=SCHEMA.name))
    await asyncio.gather(*(add((model_store, other)[number % 2], 100 + number) for number in range(20)))
    found = await model_store.find("rx")
    assert found is not None
    assert numbers(found) == [*range(1, 21)]
    assert {each.pipeline_digest for each in found.versions} == {digest(100 + number) for number in range(20)}
    assert found.revision == 20
    assert await other.find("rx") == found
    await other.close()


async def test_numbers_and_revisions_are_never_given_twice(model_store: ModelStore) -> None:
    for content in (1, 2):
        await add(model_store, content)
    # The newest one goes, then all of them, then the model.
    await model_store.change("rx", lambda model, _: dataclasses.replace(model, versions=model.versions[:1]))  # type: ignore[union-attr,type-var]
    assert numbers(await add(model_store, 2)) == [1, 3]
    gone = await model_store.change("rx", lambda *_: None)
    assert numbers(gone.before) == [1, 3]
    assert (gone.after, await model_store.find("rx"), await model_store.all()) == (None, None, ())
    again = await add(model_store, 1, owner="eve")
    assert (numbers(again), again.owner, again.revision) == ([4], "eve", 6)


async def test_no_version_ever_changes(model_store: ModelStore) -> None:
    await add(model_store, 1)

    def tamper(model: Model | None, _: int) -> Model:
        assert model is not None
        return dataclasses.replace(model, versions=(version(1, content=9),))

    with pytest.raises(AssertionError, match="versions never change"):
        await model_store.change("rx", tamper)
    assert (await model_store.find("rx")) == Model("rx", "ann", 1, (version(1),))


async def test_a_refusal_changes_nothing(model_store: ModelStore) -> None:
    before = await add(model_store, 1)

    def refuse(*_: object) -> Model:
        raise InvalidInput("no")

    with pytest.raises(InvalidInput, match="no"):
        await model_store.change("rx", refuse)
    assert await model_store.find("rx") == before


async def test_an_owner_has_so_many_models_and_no_more(model_store: ModelStore) -> None:
    async def make(name: str, owner: str) -> None:
        await model_store.change(name, lambda *_: Model(name, owner=owner), most=2)

    await make("a", "ann")
    await make("b", "ann")
    await make("c", "bob")
    with pytest.raises(ModelQuota, match="ann has 2 of 2 published models"):
        await make("d", "ann")
    await model_store.change("a", lambda *_: None)
    await make("d", "ann")


async def test_what_versions_and_claims_refer_to(models_engine: AsyncEngine) -> None:
    clock = SimpleNamespace(now=1000.0)
    at = bindparam("clock", callable_=lambda: clock.now, type_=Float())
    store = ModelStore(models_engine, clock=at)
    await store.change("rx", lambda *_: Model("rx", versions=(ModelVersion(1, digest(1), digest(2)), version(2, 3))))
    ended, dropped, lapsing = [await store.claim(digest(10 * each), digest(11 * each), 60) for each in (1, 2, 3)]
    published, claimed = {digest(each) for each in (1, 2, 3)}, {digest(each) for each in (10, 11, 20, 22, 30, 33)}
    assert await store.digests() == published | claimed
    await store.change("rx", lambda model, _: model, claim=ended)
    await store.drop_claim(dropped)
    assert await store.digests() == published | {digest(30), digest(33)}
    clock.now += 61
    assert await store.digests() == published
    await store.change("rx", lambda *_: None)
    assert await store.digests() == set()
    assert lapsing
    await store.close()


async def test_what_replicas_say_is_forgotten_after_a_while(models_engine: AsyncEngine) -> None:
    clock = SimpleNamespace(now=1000.0)
    at = bindparam("clock", callable_=lambda: clock.now, type_=Float())
    store = ModelStore(models_engine, clock=at)

    def said(replica: str, number: int, state: State, reason: str = "") -> ReplicaState:
        return ReplicaState(replica, "rx", number, state, reason, 7 * number)

    ready, failed = said("b", 1, State.READY), said("a", 2, State.FAILED, "no room")
    await store.report("b", [ready], 30)
    await store.report("a", [said("a", 1, State.LOADING)], 30)
    clock.now += 20
    await store.report("a", [failed, said("a", 1, State.KNOWN)], 30)
    assert await store.states("rx") == [said("a", 1, State.KNOWN), ready, failed]
    assert await store.states("other") == []
    clock.now += 11
    assert await store.states("rx") == [said("a", 1, State.KNOWN), failed]
    await store.report("a", [], 30)
    assert await store.states("rx") == []
    await store.close()


async def test_a_replica_may_say_much(model_store: ModelStore) -> None:
    said = [ReplicaState("a", f"m{number}", 1, State.READY) for number in range(1200)]
    await model_store.report("a", said, 30)
    assert await model_store.states("m1199") == [said[-1]]
