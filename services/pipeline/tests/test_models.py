"""What callers do with published models: who may, what is refused, and what is left as it was."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from swath.errors import (
    Denied,
    Exhausted,
    InvalidInput,
    ModelNotFound,
    ModelQuota,
    NotFitted,
    PipelineMissing,
    Precondition,
    RevisionConflict,
    SessionNotFound,
    SwathError,
)
from swath.published.model import Alias, Model, ReplicaState, Share, State, TensorSpec
from swath.rpc.caller import Caller, acting_as
from swath.storage import ArtifactStore
from swath_pipeline import ModelService, ModelStore, PipelineSettings
from swath_pipeline.artifacts import PipelineArtifacts
from swath_pipeline.models import changes
from swath_pipeline.models.changes import Wishes
from swath_session import SessionAuthority

Holding = Callable[..., Awaitable[str]]
AS_IT_IS = Wishes()


@contextmanager
def being(name: str) -> Iterator[None]:
    """Call as somebody within a block."""
    with acting_as(Caller(name, "token")):
        yield


def whole(version: int) -> tuple[Share, ...]:
    return (Share(version, 100.0),)


@pytest.fixture
async def rx(models: ModelService, holding: Holding) -> Model:
    """A model of three versions, the first of them stable."""
    await models.publish("rx", await holding(0), aliases=["stable"], wishes=AS_IT_IS)
    await models.publish("rx", await holding(1), wishes=AS_IT_IS)
    return (await models.publish("rx", await holding(2), wishes=AS_IT_IS)).model


class TestPublishing:
    async def test_a_version_says_what_it_is(
        self, models: ModelService, holding: Holding, sessions: SessionAuthority
    ) -> None:
        session = await sessions.get(await holding())
        published = await models.publish(
            "rx",
            session.id,
            aliases=["stable", "canary"],
            description="Trained on San Diego",
            wishes=Wishes(labels={"site": "San Diego"}, pinned=True),
        )
        model, number, existed, untried = published
        assert untried == ""
        (version,) = model.versions
        assert (number, existed, version.number, version.description) == (1, False, 1, "Trained on San Diego")
        assert version.digests == (session.pipeline_digest, session.weights_digest)
        assert version.inputs == (
            TensorSpec("data", "float32", (-1, -1, -1, 3), description=version.inputs[0].description),
        )
        assert [(each.name, each.dtype, each.shape) for each in version.outputs] == [
            ("rx.scores", "float32", (-1, -1, -1, 1))
        ]
        assert model.aliases == (Alias("canary", whole(1)), Alias("stable", whole(1)))
        assert (model.labels, model.pinned, model.owner) == ({"site": "San Diego"}, True, "")
        assert await models.get("rx") == (model, [])

    async def test_the_same_digests_are_the_same_version(self, models: ModelService, holding: Holding) -> None:
        first = await models.publish("rx", await holding(), description="first", wishes=AS_IT_IS)
        again = await models.publish("rx", await holding(), description="again", wishes=AS_IT_IS)
        assert (again.version, again.existed, again.model) == (1, True, first.model)
        other = await models.publish("rx", await holding(1), wishes=AS_IT_IS)
        assert (other.version, other.existed) == (2, False)
        moved = await models.publish("rx", await holding(), aliases=["stable"], wishes=Wishes(pinned=True))
        assert (moved.version, moved.existed, moved.model.pinned) == (1, True, True)
        assert moved.model.aliases == (Alias("stable", whole(1)),)

    async def test_who_publish_the_same_at_the_same_time_publish_one_version(
        self, models: ModelService, holding: Holding
    ) -> None:
        sessions = [await holding() for _ in range(6)]
        came = await asyncio.gather(*(models.publish("rx", each, wishes=AS_IT_IS) for each in sessions))
        assert [each.version for each in came] == [1] * 6
        assert sorted(each.existed for each in came) == [False] + [True] * 5
        model, _ = await models.get("rx")
        assert [each.number for each in model.versions] == [1]

    async def test_a_version_stays_as_it_is_whatever_its_owner_says(
        self, models: ModelService, holding: Holding
    ) -> None:
        before = (await models.publish("rx", await holding(), description="first", wishes=AS_IT_IS)).model
        await models.publish("rx", await holding(), description="again", wishes=Wishes(labels={"a": "b"}))
        await models.publish("rx", await holding(1), aliases=["stable"], wishes=Wishes(pinned=True))
        await models.update("rx", Wishes(editors=["eve"]))
        after, _ = await models.get("rx")
        assert after.version(1) == before.version(1)
        assert after.revision > before.revision

    async def test_what_is_not_said_is_left_as_it_is(self, models: ModelService, holding: Holding) -> None:
        wishes = Wishes(labels={"a": "b"}, callers=["bob"], editors=["eve"], pinned=True)
        before = (await models.publish("rx", await holding(), wishes=wishes)).model
        after = (await models.publish("rx", await holding(1), wishes=AS_IT_IS)).model
        assert (after.labels, after.callers, after.editors, after.pinned) == ({"a": "b"}, ("bob",), ("eve",), True)
        assert after.revision == before.revision + 1

    async def test_what_needs_a_fit_is_refused(self, models: ModelService, rx: Model, loaded: str) -> None:
        with pytest.raises(NotFitted, match="Nodes rx need a statistical fit before the pipeline can be published"):
            await models.publish("rx", loaded, aliases=["stable"], wishes=Wishes(pinned=True))
        assert (await models.get("rx"))[0] == rx

    async def test_what_cannot_be_built_says_why_and_changes_nothing(
        self, models: ModelService, rx: Model, sessions: SessionAuthority, store: ArtifactStore, loaded: str
    ) -> None:
        session = await sessions.get(loaded)
        await sessions.update(loaded, session.revision, weights_digest=store.put_sync(b"no weights"))
        with pytest.raises(Precondition, match=r"the pipeline cannot be built: .*weights") as refused:
            await models.publish("rx", loaded, aliases=["stable"], wishes=AS_IT_IS)
        assert refused.value.code == "FAILED_PRECONDITION"
        assert (await models.get("rx"))[0] == rx

    async def test_what_fails_whatever_it_is_given_says_why_and_changes_nothing(
        self, models: ModelService, rx: Model, holding: Holding, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from swath.engine.nodes.anomaly.rx_detector import RXGlobal

        def fail(*_: Any, **__: Any) -> None:
            raise RuntimeError("no kernel image is available\nand where in the code")

        monkeypatch.setattr(RXGlobal, "run", fail)
        text = "a forward fails on inputs as the pipeline declares them: RuntimeError: no kernel image is available$"
        with pytest.raises(Precondition, match=text) as refused:
            await models.publish("rx", await holding(5), aliases=["stable"], wishes=AS_IT_IS)
        assert refused.value.code == "FAILED_PRECONDITION"
        assert (await models.get("rx"))[0] == rx

    async def test_what_only_refuses_what_it_was_tried_with_is_published_and_says_so(
        self, models: ModelService, rx: Model, holding: Holding, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from swath.engine.nodes.anomaly.rx_detector import RXGlobal

        def refuse(*_: Any, **__: Any) -> None:
            raise ValueError("no band near 1400 nm")

        monkeypatch.setattr(RXGlobal, "run", refuse)
        published = await models.publish("rx", await holding(5), aliases=["stable"], wishes=AS_IT_IS)
        assert (published.version, published.untried) == (
            4,
            "it did not take made inputs: ValueError: no band near 1400 nm",
        )

    async def test_a_class_that_there_is_not_is_no_fault_of_the_call(
        self, models: ModelService, sessions: SessionAuthority, store: ArtifactStore, session: str
    ) -> None:
        gone = {"nodes": [{"name": "a", "class_name": "cuvis_ai.node.gone.Gone"}], "connections": []}
        digest = store.put_sync(json.dumps(gone).encode())
        await sessions.update(session, (await sessions.get(session)).revision, pipeline_digest=digest)
        with pytest.raises(Precondition, match=r"the pipeline cannot be built: .*Gone"):
            await models.publish("rx", session, wishes=AS_IT_IS)
        with pytest.raises(ModelNotFound):
            await models.get("rx")

    async def test_sessions_without_a_pipeline_and_sessions_that_are_not_there(
        self, models: ModelService, session: str
    ) -> None:
        with pytest.raises(PipelineMissing):
            await models.publish("rx", session, wishes=AS_IT_IS)
        with pytest.raises(SessionNotFound):
            await models.publish("rx", "nothing", wishes=AS_IT_IS)

    async def test_another_ones_session_is_as_if_there_were_none(self, models: ModelService, holding: Holding) -> None:
        session = await holding(0, "ann")
        with being("mallory"), pytest.raises(SessionNotFound):
            await models.publish("rx", session, wishes=AS_IT_IS)

    async def test_a_claim_ends_with_what_it_was_for(
        self, models: ModelService, model_store: ModelStore, holding: Holding, loaded: str, sessions: SessionAuthority
    ) -> None:
        held = await sessions.get(await holding())
        await models.publish("rx", held.id, wishes=AS_IT_IS)
        with pytest.raises(NotFitted):
            await models.publish("rx", loaded, wishes=AS_IT_IS)
        assert await model_store.digests() == {held.pipeline_digest, held.weights_digest}
        await models.unpublish("rx")
        assert await model_store.digests() == set()

    async def test_versions_have_an_end(
        self, models: ModelService, holding: Holding, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(changes, "MAX_VERSIONS", 2)
        for seed in (0, 1, 1, 0):
            await models.publish("rx", await holding(seed), wishes=AS_IT_IS)
        with pytest.raises(Exhausted, match="model 'rx' has 2 versions, which is the most: unpublish some"):
            await models.publish("rx", await holding(2), wishes=AS_IT_IS)
        await models.unpublish("rx", 1)
        assert (await models.publish("rx", await holding(2), wishes=AS_IT_IS)).version == 3

    async def test_models_have_a_quota(
        self, model_store: ModelStore, sessions: SessionAuthority, store: ArtifactStore, holding: Holding
    ) -> None:
        few = ModelService(model_store, sessions, PipelineArtifacts(store), PipelineSettings(quota_models=1))
        with being("ann"):
            await few.publish("a", await holding(), wishes=AS_IT_IS)
            await few.publish("a", await holding(1), wishes=AS_IT_IS)
            with pytest.raises(ModelQuota, match="ann has 1 of 1 published models: unpublish one"):
                await few.publish("b", await holding(), wishes=AS_IT_IS)


BAD = [
    ({"name": "../etc"}, "name of the model: expected 1 to 128 letters"),
    ({"name": "a\nb"}, r"got 'a\\nb'"),
    ({"aliases": ["7"]}, "alias: expected .*not digits alone, got '7'"),
    ({"aliases": ["a b"]}, "alias: expected"),
    ({"description": "x" * 4097}, "description: expected at most 4096 characters, got 4097"),
    ({"description": "a\0b"}, r"description: expected no control characters, got '\\x00'"),
    ({"wishes": Wishes(labels={"": "b"})}, "labels: expected keys of 1 to 63 letters"),
    ({"wishes": Wishes(labels={"a": "b\n"})}, r"labels: value of a: expected no control characters, got '\\n'"),
    ({"wishes": Wishes(labels={"a": "b" * 257})}, "labels: value of a: expected at most 256 characters, got 257"),
    ({"wishes": Wishes(labels={str(n): "" for n in range(65)})}, "labels: expected at most 64, got 65"),
    ({"wishes": Wishes(callers=["bob", ""])}, "callers: expected identities, got an empty one"),
    ({"wishes": Wishes(callers=["\x1b[2J"])}, "callers: expected no control characters"),
    ({"wishes": Wishes(callers=["x"] * 257)}, "callers: expected at most 256 identities, got 257"),
    ({"wishes": Wishes(editors=["*"])}, r"editors: expected identities, got '\*'"),
]


@pytest.mark.parametrize(("said", "text"), BAD)
async def test_what_may_not_be_said_is_refused_before_any_work(models: ModelService, said: dict, text: str) -> None:
    given = {"name": "rx", "wishes": AS_IT_IS, **said}
    with pytest.raises(InvalidInput, match=text):
        await models.publish(given.pop("name"), "no session", **given)


class TestAccess:
    @pytest.fixture
    async def private(self, models: ModelService, holding: Holding) -> Model:
        """Ann's, which Bob may call and Eve change."""
        with being("ann"):
            session = await holding(0, "ann")
            wishes = Wishes(callers=["bob"], editors=["eve"])
            return (await models.publish("rx", session, aliases=["stable"], wishes=wishes)).model

    def calls(self, models: ModelService, name: str) -> dict[str, Callable[[], Awaitable[object]]]:
        """Everything that changes a model."""
        return {
            "set": lambda: models.set_alias(name, "stable", whole(1)),
            "roll back": lambda: models.roll_back_alias(name, "stable"),
            "remove": lambda: models.remove_alias(name, "stable"),
            "update": lambda: models.update(name, Wishes(pinned=False)),
            "version": lambda: models.unpublish(name, 1),
            "all": lambda: models.unpublish(name),
        }

    async def test_a_stranger_hears_the_same_as_of_one_that_never_was(
        self, models: ModelService, private: Model
    ) -> None:
        with being("mallory"):
            assert await models.list({}) == []
            for name, call in {**self.calls(models, "rx"), "get": lambda: models.get("rx")}.items():
                with pytest.raises(ModelNotFound) as refused:
                    await call()
                with pytest.raises(ModelNotFound) as never:
                    await {**self.calls(models, "xr"), "get": lambda: models.get("xr")}[name]()
                assert refused.value.message.replace("rx", "xr") == never.value.message
        assert (await models.get("rx"))[0] == private

    async def test_who_may_call_sees_it_and_changes_nothing(self, models: ModelService, private: Model) -> None:
        with being("bob"):
            assert await models.list({}) == [private]
            assert (await models.get("rx"))[0] == private
            for call in self.calls(models, "rx").values():
                with pytest.raises(Denied, match="'rx' is one that you may call but not change"):
                    await call()
        assert (await models.get("rx"))[0] == private

    @pytest.mark.parametrize("who", ["bob", "mallory"])
    async def test_nobody_publishes_under_anothers_name(
        self, models: ModelService, private: Model, holding: Holding, who: str
    ) -> None:
        session = await holding(1, who)
        with being(who), pytest.raises(Denied, match="the name 'rx' is taken by a model that you may not change"):
            await models.publish("rx", session, wishes=Wishes(editors=[who]))
        assert (await models.get("rx"))[0] == private

    @pytest.mark.parametrize("who", ["ann", "eve"])
    async def test_owner_and_editors_change_it(
        self, models: ModelService, private: Model, holding: Holding, who: str
    ) -> None:
        session = await holding(1, who)
        with being(who):
            published = await models.publish("rx", session, wishes=AS_IT_IS)
            assert (published.version, published.model.owner) == (2, "ann")
            assert [each.published_by for each in published.model.versions] == ["ann", who]
            await models.set_alias("rx", "stable", whole(2))
            await models.roll_back_alias("rx", "stable")
            await models.update("rx", Wishes(callers=["*"]))
        with being("mallory"):
            assert [each.name for each in await models.list({})] == ["rx"]
        with being(who):
            await models.unpublish("rx")
            assert await models.list({}) == []

    async def test_a_model_without_callers_is_everybodys_to_call(self, models: ModelService, holding: Holding) -> None:
        with being("ann"):
            await models.publish("rx", await holding(0, "ann"), wishes=AS_IT_IS)
        with being("mallory"):
            assert [each.owner for each in await models.list({})] == ["ann"]

    async def test_where_nobody_is_asked_everything_is_allowed(self, models: ModelService, private: Model) -> None:
        assert (await models.set_alias("rx", "canary", whole(1))).revision == private.revision + 1
        await models.unpublish("rx")


class TestAliases:
    async def test_shares_move_and_roll_back(self, models: ModelService, rx: Model) -> None:
        canary = (Share(1, 95.0), Share(3, 5.0))
        model = await models.set_alias("rx", "stable", canary[::-1])
        assert model.aliases == (Alias("stable", canary, whole(1)),)
        model = await models.set_alias("rx", "stable", whole(3))
        assert model.aliases == (Alias("stable", whole(3), canary),)
        model = await models.roll_back_alias("rx", "stable")
        assert model.aliases == (Alias("stable", canary, whole(3)),)
        model = await models.roll_back_alias("rx", "stable")
        assert model.aliases == (Alias("stable", whole(3), canary),)

    async def test_one_that_is_set_to_what_it_is_keeps_its_way_back(self, models: ModelService, rx: Model) -> None:
        before = await models.set_alias("rx", "stable", whole(2))
        assert await models.set_alias("rx", "stable", whole(2)) == before

    @pytest.mark.parametrize(
        ("targets", "text"),
        [
            ((), "expected 1 to 16 versions, got 0"),
            ((Share(1, 60.0), Share(2, 30.0)), "sum up to 100, got 90"),
            ((Share(1, 100.0), Share(2, 0.0)), "more than 0 and at most 100 percent for version 2, got 0"),
            ((Share(1, 150.0), Share(2, -50.0)), "more than 0 and at most 100 percent for version 1, got 150"),
            ((Share(1, float("nan")),), "for version 1, got nan"),
            ((Share(1, float("inf")),), "for version 1, got inf"),
            ((Share(1, 50.0), Share(1, 50.0)), "each version once, got version 1 twice"),
            (tuple(Share(number, 100 / 17) for number in range(17)), "expected 1 to 16 versions, got 17"),
        ],
    )
    async def test_shares_that_are_none(
        self, models: ModelService, rx: Model, targets: tuple[Share, ...], text: str
    ) -> None:
        with pytest.raises(InvalidInput, match=f"targets of alias 'stable': .*{text}"):
            await models.set_alias("rx", "stable", targets)
        assert (await models.get("rx"))[0] == rx

    async def test_thirds_are_a_whole(self, models: ModelService, rx: Model) -> None:
        thirds = tuple(Share(number, 100 / 3) for number in (1, 2, 3))
        assert (await models.set_alias("rx", "stable", thirds)).aliases[0].targets == thirds

    @pytest.mark.parametrize("number", [0, -1, 4, 2**63 - 1])
    async def test_a_version_that_there_is_not(self, models: ModelService, rx: Model, number: int) -> None:
        with pytest.raises(ModelNotFound, match=f"'rx' has no version {number}: versions are 1, 2, 3"):
            await models.set_alias("rx", "stable", whole(number))
        with pytest.raises(ModelNotFound, match=f"has no version {number}"):
            await models.unpublish("rx", number)

    async def test_who_saw_an_older_revision_is_told(self, models: ModelService, rx: Model) -> None:
        moved = await models.set_alias("rx", "stable", whole(2), rx.revision)
        with pytest.raises(RevisionConflict, match=f"expected revision {rx.revision}, got {moved.revision}"):
            await models.set_alias("rx", "stable", whole(3), rx.revision)

    async def test_there_is_no_way_back_to_nowhere(self, models: ModelService, rx: Model) -> None:
        with pytest.raises(Precondition, match="alias stable of model 'rx' cannot be rolled back: it pointed nowhere"):
            await models.roll_back_alias("rx", "stable")
        for call in (models.roll_back_alias, models.remove_alias):
            with pytest.raises(ModelNotFound, match=r"'rx' has no alias 'a\\nb': aliases are stable"):
                await call("rx", "a\nb")

    async def test_there_is_no_way_back_to_what_is_unpublished(self, models: ModelService, rx: Model) -> None:
        await models.set_alias("rx", "stable", whole(2))
        await models.unpublish("rx", 1)
        with pytest.raises(Precondition, match="version 1, where it pointed before, is unpublished"):
            await models.roll_back_alias("rx", "stable")

    async def test_they_are_removed(self, models: ModelService, rx: Model) -> None:
        assert (await models.remove_alias("rx", "stable")).aliases == ()

    async def test_they_have_an_end(self, models: ModelService, rx: Model, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(changes, "MAX_ALIASES", 2)
        await models.set_alias("rx", "canary", whole(2))
        await models.set_alias("rx", "stable", whole(2))
        with pytest.raises(Exhausted, match="has 2 aliases, which is the most"):
            await models.set_alias("rx", "third", whole(2))


class TestTheRest:
    async def test_labels_find_models(self, models: ModelService, holding: Holding) -> None:
        for name, labels in (("a", {"site": "x", "sensor": "y"}), ("b", {"site": "x"}), ("c", {})):
            await models.publish(name, await holding(), wishes=Wishes(labels=labels))

        async def found(**labels: str) -> list[str]:
            return [model.name for model in await models.list(labels)]

        assert await found() == ["a", "b", "c"]
        assert await found(site="x") == ["a", "b"]
        assert await found(site="x", sensor="y") == ["a"]
        assert await found(site="z") == []

    async def test_what_is_written_is_what_was_asked_for(self, models: ModelService, rx: Model) -> None:
        model = await models.update("rx", Wishes(labels={"b": "2", "a": "1"}, callers=["x", "a", "x"]))
        assert (list(model.labels), model.callers, model.editors, model.pinned) == (["a", "b"], ("a", "x"), (), False)
        assert model.revision == rx.revision + 1
        assert (await models.update("rx", Wishes(labels={}, pinned=True))).labels == {}

    async def test_a_version_that_an_alias_points_at_stays(self, models: ModelService, rx: Model) -> None:
        with pytest.raises(
            Precondition, match="version 1 of model 'rx' cannot be unpublished while alias stable points"
        ):
            await models.unpublish("rx", 1)
        await models.unpublish("rx", 2)
        await models.remove_alias("rx", "stable")
        await models.unpublish("rx", 1)
        await models.unpublish("rx", 3)
        model, _ = await models.get("rx")
        assert model.versions == ()

    async def test_a_model_goes_with_its_aliases(self, models: ModelService, rx: Model) -> None:
        await models.unpublish("rx")
        for call in (models.get("rx"), models.unpublish("rx"), models.unpublish("rx", 1)):
            with pytest.raises(ModelNotFound, match="Model 'rx' not found"):
                await call

    async def test_replicas_say_what_they_have(self, models: ModelService, rx: Model, model_store: ModelStore) -> None:
        said = [ReplicaState("a", "rx", 1, State.READY, memory_bytes=5), ReplicaState("a", "rx", 2, State.FAILED, "no")]
        await model_store.report("a", [*said, ReplicaState("a", "rx", 9, State.READY)], 60)
        assert (await models.get("rx"))[1] == said
        await models.unpublish("rx", 2)
        assert (await models.get("rx"))[1] == said[:1]

    @pytest.mark.parametrize("name", ["", "../rx", "a\0b"])
    async def test_a_name_that_is_none_is_refused_everywhere(self, models: ModelService, name: str) -> None:
        calls: list[Callable[[], Awaitable[object]]] = [
            lambda: models.get(name),
            lambda: models.set_alias(name, "stable", whole(1)),
            lambda: models.roll_back_alias(name, "stable"),
            lambda: models.remove_alias(name, "stable"),
            lambda: models.update(name, Wishes(pinned=True)),
            lambda: models.unpublish(name),
            lambda: models.unpublish(name, 1),
        ]
        for call in calls:
            with pytest.raises(SwathError) as refused:
                await call()
            assert refused.value.code == "INVALID_ARGUMENT"
