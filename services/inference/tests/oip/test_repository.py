"""What is loaded and unloaded, who may, and what was counted."""

import asyncio
import threading

import numpy as np
import pytest

from swath.errors import Denied, ModelNotFound, WeightsInvalid
from swath.inference import open_inference_pb2 as pb
from swath.published.model import Change, State
from swath_inference.dataplane import forward
from swath_inference.protocols.oip.messages import InferMessage
from swath_inference.protocols.oip.repository import Repository
from swath_inference.protocols.oip.shared_memory import Client
from swath_inference.published.models import Status

from .conftest import SCALE, raw_input, refusal

pytestmark = pytest.mark.timeout(60)

CUBE = np.random.default_rng(7).random((2, 2, 2, 3), dtype=np.float32)


async def _index(door, **more):
    answer = await door.stub.RepositoryIndex(pb.RepositoryIndexRequest(**more))
    return [(each.name, each.version, each.state, each.reason) for each in answer.models]


async def _load(door, **fields):
    return await door.stub.RepositoryModelLoad(pb.RepositoryModelLoadRequest(**fields))


async def _unload(door, **fields):
    return await door.stub.RepositoryModelUnload(pb.RepositoryModelUnloadRequest(**fields), timeout=20)


class TestIndex:
    async def test_there_is_an_entry_for_each_version(self, door, shop):
        shop.publish("scale", {"name": "other", **SCALE})
        assert await _index(door) == [("scale", "1", "READY", ""), ("scale", "2", "READY", "")]

    async def test_states_are_those_of_this_replica(self, door, shop):
        for name, state, told in (("a", State.LOADING, "LOADING"), ("b", State.FAILED, "UNAVAILABLE")):
            shop.publish(name, {"name": name, **SCALE})
            shop.models.tell(name, {1: Status(state, "no room" if state is State.FAILED else "")})
            assert (name, "1", told, "no room" if name == "b" else "") in await _index(door)
            assert not (await door.stub.ModelReady(pb.ModelReadyRequest(name=name))).ready
        assert await _index(door, ready=True) == [("scale", "1", "READY", "")]

    async def test_there_are_no_repositories_to_choose_from(self, door):
        assert (await refusal(door.stub.RepositoryIndex(pb.RepositoryIndexRequest(repository_name="r"))))[
            0
        ] == "UNIMPLEMENTED"


class TestLoads:
    async def test_both_forms_name_a_model(self, door):
        for fields in ({"model_name": "scale"}, {"repository_name": "scale"}):
            unloaded, loaded = await _unload(door, **fields), await _load(door, **fields)
            assert (unloaded.model_name, unloaded.is_unloaded) == ("scale", True)
            assert (loaded.model_name, loaded.is_loaded) == ("scale", True)

    async def test_what_is_unloaded_is_not_found_until_it_is_loaded(self, door, service):
        await door.infer(**raw_input(CUBE))
        assert len(service.runner.keys) == 1
        await _unload(door, model_name="scale")
        assert service.runner.keys == ()
        assert not (await door.stub.ModelReady(pb.ModelReadyRequest(name="scale"))).ready
        code, text = await refusal(door.infer(**raw_input(CUBE)))
        assert (code, "unloaded" in text) == ("NOT_FOUND", True)
        assert await _index(door) == [("scale", "1", "UNAVAILABLE", "unloaded")]
        await _load(door, model_name="scale")
        assert len((await door.infer(**raw_input(CUBE))).outputs) == 1

    async def test_unloading_waits_for_calls_that_run_and_they_are_answered(self, door, monkeypatch):
        begun, go_on, real = threading.Event(), threading.Event(), forward._compute

        def compute(*request):
            begun.set()
            go_on.wait(20)
            return real(*request)

        monkeypatch.setattr(forward, "_compute", compute)
        running = asyncio.ensure_future(door.infer(**raw_input(CUBE)))
        await asyncio.to_thread(begun.wait, 20)
        unloading = asyncio.ensure_future(_unload(door, model_name="scale"))
        while await _index(door) != [("scale", "1", "UNLOADING", "unloaded")]:  # noqa: ASYNC110  the door has no event for it
            await asyncio.sleep(0.01)
        assert (await refusal(door.infer(**raw_input(CUBE))))[0] == "NOT_FOUND"
        assert not unloading.done()
        go_on.set()
        assert len((await running).outputs) == 1
        assert (await unloading).is_unloaded

    async def test_one_that_cannot_be_loaded_says_why(self, door, monkeypatch):
        async def fail(published):
            raise WeightsInvalid("the weights do not fit")

        monkeypatch.setattr(door.calls, "model", fail)
        code, text = await refusal(_load(door, model_name="scale"))
        assert code == "INVALID_ARGUMENT"
        assert text == "load failed for model 'scale': version 1 is at UNAVAILABLE state: the weights do not fit"

    @pytest.mark.parametrize(
        ("fields", "code", "text"),
        [
            ({"model_name": "nope"}, "NOT_FOUND", "nope"),
            ({}, "INVALID_ARGUMENT", "name of a model"),
            ({"model_name": "scale", "repository_name": "r"}, "UNIMPLEMENTED", "repositories"),
        ],
    )
    async def test_what_is_refused_of_both(self, door, fields, code, text):
        for act in (_load, _unload):
            found, said = await refusal(act(door, **fields))
            assert (found, text in said) == (code, True)

    @pytest.mark.parametrize(
        ("key", "code", "text"),
        [
            ("zork", "INVALID_ARGUMENT", "unrecognized load parameter 'zork'."),
            ("config", "UNIMPLEMENTED", "versions never change"),
            ("file:1/model.pt", "UNIMPLEMENTED", "versions never change"),
        ],
    )
    async def test_what_a_load_does_not_take(self, door, key, code, text):
        found, said = await refusal(
            _load(door, model_name="scale", parameters={key: pb.ModelRepositoryParameter(string_param="x")})
        )
        assert (found, text in said) == (code, True)

    async def test_what_an_unload_takes(self, door):
        dependents = pb.ModelRepositoryParameter(bool_param=True)
        assert (await _unload(door, model_name="scale", parameters={"unload_dependents": dependents})).is_unloaded
        for key, value in (("zork", dependents), ("unload_dependents", pb.ModelRepositoryParameter(int64_param=1))):
            assert (await refusal(_unload(door, model_name="scale", parameters={key: value})))[0] == "INVALID_ARGUMENT"

    async def test_a_pinned_model_is_kept(self, door, shop):
        shop.publish("kept", {"name": "node", **SCALE}, pinned=True)
        assert (await refusal(_unload(door, model_name="kept")))[0] == "FAILED_PRECONDITION"

    async def test_its_owner_and_editors_load_it_and_who_may_only_call_it_does_not(self, door, shop):
        shop.publish("hers", {"name": "node", **SCALE}, owner="alice", callers=("bob",), editors=("eve",))
        repository = Repository(door.calls, lambda _: None)
        for who in ("alice", "eve"):
            await repository.load("hers", who, {})
            await repository.unload("hers", who, {})
        for act in (repository.load, repository.unload):
            with pytest.raises(Denied, match="'bob' is none of them"):
                await act("hers", "bob", {})
            with pytest.raises(Exception, match="not found"):
                await act("hers", "mallory", {})
        assert [each.published.name for each in repository.index("mallory")] == ["scale"]

    async def test_a_model_is_there_for_its_callers_alone(self, door, shop):
        shop.publish("hers", {"name": "node", **SCALE}, owner="alice", callers=("bob",))
        message = InferMessage.read(pb.ModelInferRequest(model_name="hers", **raw_input(CUBE)).SerializeToString())
        for who in ("alice", "bob"):
            assert await door.protocol.inference.infer(message, Client(who, "", False))
        with pytest.raises(ModelNotFound, match="hers"):
            await door.protocol.inference.infer(message, Client("mallory", "", False))


class TestStatistics:
    async def _of(self, door, **fields):
        return (await door.stub.ModelStatistics(pb.ModelStatisticsRequest(**fields))).model_stats

    async def test_every_request_that_names_a_model_is_a_success_or_a_failure(self, door):
        for _ in range(3):
            await door.infer(**raw_input(CUBE))
        await refusal(door.infer(**raw_input(CUBE, "cubex")))
        await refusal(door.infer(**{**raw_input(CUBE), "raw_input_contents": []}))
        [found] = await self._of(door, name="scale")
        stats = found.inference_stats
        assert (found.name, found.version) == ("scale", "1")
        assert (stats.success.count, stats.fail.count) == (3, 2)
        assert (found.inference_count, found.execution_count) == (6, 3)
        assert (
            stats.queue.count
            == stats.compute_input.count
            == stats.compute_infer.count
            == stats.compute_output.count
            == 3
        )
        parts = stats.queue.ns + stats.compute_input.ns + stats.compute_infer.ns + stats.compute_output.ns
        assert parts == stats.success.ns
        assert [(each.batch_size, each.compute_infer.count) for each in found.batch_stats] == [(2, 3)]
        assert found.last_inference > 1_600_000_000_000

    async def test_calls_that_are_computed_together_are_one_execution(self, door):
        await door.infer(**raw_input(CUBE))
        await asyncio.gather(*(door.infer(**raw_input(CUBE)) for _ in range(40)))
        [found] = await self._of(door, name="scale")
        assert found.inference_count == 82
        assert sum(each.compute_infer.count for each in found.batch_stats) == found.execution_count
        assert found.execution_count <= 41

    async def test_requests_of_streams_count(self, door):
        call = door.stub.ModelStreamInfer()
        for name in ("data", "other"):
            await call.write(pb.ModelInferRequest(model_name="scale", **raw_input(CUBE, name)))
            await call.read()
        await call.done_writing()
        [found] = await self._of(door, name="scale")
        assert (found.inference_stats.success.count, found.inference_stats.fail.count) == (1, 1)

    async def test_loading_begins_anew(self, door):
        await door.infer(**raw_input(CUBE))
        await _unload(door, model_name="scale")
        await _load(door, model_name="scale")
        [found] = await self._of(door, name="scale")
        assert found.inference_stats.success.count == 0

    async def test_no_name_is_all_models_and_no_version_all_versions(self, door, shop):
        shop.publish("scale", {"name": "other", **SCALE})
        shop.publish("second", {"name": "other", **SCALE})
        names = [
            [(each.name, each.version) for each in await self._of(door, **fields)]
            for fields in ({}, {"name": "scale"}, {"name": "scale", "version": "2"})
        ]
        assert names == [
            [("scale", "1"), ("scale", "2"), ("second", "1")],
            [("scale", "1"), ("scale", "2")],
            [("scale", "2")],
        ]

    async def test_an_unknown_model_has_none(self, door):
        for fields in ({"name": "nope"}, {"name": "scale", "version": "7"}):
            assert (await refusal(door.stub.ModelStatistics(pb.ModelStatisticsRequest(**fields))))[0] == "NOT_FOUND"

    async def test_what_was_taken_back_is_forgotten(self, door, shop):
        await door.infer(**raw_input(CUBE))
        shop.remove("scale")
        shop.publish("new", {"name": "node", **SCALE})
        shop.publish("scale", {"name": "fresh", **SCALE})
        assert [each.inference_stats.success.count for each in await self._of(door)] == [0, 0]


async def test_before_anybody_knows_what_is_published_calls_are_to_be_repeated(door, shop):
    shop.models._entries = None
    assert (await refusal(door.infer(**raw_input(CUBE))))[0] == "UNAVAILABLE"
    shop.models.apply(Change(complete=True))
    assert (await refusal(door.infer(**raw_input(CUBE))))[0] == "NOT_FOUND"
