"""redhare.Inference as clients see it: over a real server, with models that are published in memory."""

import asyncio
import base64
import json
from typing import Any, cast

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from swath.api import REDHARE
from swath.documents import canonical, parse
from swath.published.model import Alias, Change, Model, ModelVersion, Share, TensorSpec
from swath.redhare import stream_pb2 as pb
from swath.redhare import stream_pb2_grpc
from swath.rpc.caller import caller
from swath.rpc.server.health import HealthBoard
from swath.rpc.server.methods import slice_handler
from swath.runtime.auth.passwords import PasswordTable
from swath.runtime.auth.scrypt import Cost, PasswordHash
from swath.runtime.auth.signing import SigningKeys
from swath.runtime.auth.tokens import hash_of
from swath.runtime.server import Server
from swath.runtime.settings import ServerSettings
from swath_inference import InferenceSettings
from swath_inference.dataplane.runner import Runner
from swath_inference.protocols.redhare.addresses import Reachable
from swath_inference.protocols.redhare.logins import Logins
from swath_inference.protocols.redhare.servicer import RedhareServicer
from swath_inference.protocols.redhare.tokens import Tokens
from swath_inference.published.calls import ModelCalls
from swath_inference.published.loading import Loader
from swath_inference.published.models import PublishedModels

pytestmark = pytest.mark.timeout(60)

EOF = cast(Any, grpc.aio).EOF  # its type stubs lack it
CUBE = TensorSpec("data", "float32", (-1, -1, -1, -1))
SCALE = {"class_name": "cuvis_ai.node.normalization.MinMaxNormalizer", "hparams": {"use_running_stats": False}}
USERS = {"alice": "correct horse", "bob": "battery staple"}


@pytest.fixture
def clock():
    """A list of the time, to be changed."""
    return [1_000_000.0]


@pytest.fixture
def version(artifacts):
    """A version of a model that scales `data` [B, H, W, C] to 0..1."""
    document = {"nodes": [{"name": "node", **SCALE}], "connections": []}
    return ModelVersion(1, artifacts.put_sync(canonical(parse("pipeline", document))), inputs=(CUBE,))


@pytest.fixture
def models(version):
    """Everybody may call "scale", alice alone "hers"."""
    models = PublishedModels()
    labels = {"redhare.dtype": "uint8", "redhare.shape": "4,5,3", "redhare.layout": "HWC"}
    scale = Model("scale", versions=(version,), labels=labels)
    models.apply(Change((scale, Model("hers", "alice", versions=(version,), callers=("alice",))), complete=True))
    return models


@pytest.fixture
async def runs(models, artifacts, workspace):
    """Calls of the models, and what they were: sizes, and who called; `held` holds them up."""

    class Runs(list[tuple[int, str | None]]):
        held: asyncio.Event | None = None

        async def __call__(self, *arguments, size):
            who = caller()
            self.append((size, None if who is None else f"{who.name} by {who.way}"))
            if self.held is not None:
                await self.held.wait()
            return await calls.infer(*arguments, size=size)

    runner = Runner(InferenceSettings(device="cpu"), artifacts, workspace)
    loader = Loader(models, runner)
    calls = ModelCalls(models, loader, runner)
    await runner.warm_up()
    yield Runs()
    await loader.stop()
    runner.close()


@pytest.fixture
async def served(models, runs, clock, tmp_path):
    """Makes a server; returns a stub, and the servicer."""
    opened = []

    async def serve(users=USERS, required=True, ahead=4, record_bytes=100_000):
        known = PasswordTable({name: str(PasswordHash.of(text, Cost(4, 8, 1))) for name, text in users.items()})
        tokens = Tokens(SigningKeys.kept_in(tmp_path / "keys.json"), 60.0, lambda: clock[0])
        logins = Logins(known, tokens, models, required=required, user_tries=3, peer_tries=9)
        reachable = Reachable("", behind_gateway=False)
        servicer = RedhareServicer(logins, runs, reachable, ahead=ahead, record_bytes=record_bytes)
        settings = ServerSettings(
            port=0, drain_grace_s=1, auth="required" if required else "off", tokens={"carol": hash_of("swath_hers")}
        )
        handlers = [slice_handler(REDHARE, "inference", servicer)]
        server = Server(settings, handlers, (REDHARE,), HealthBoard(("inference",)))
        await server.start()
        reachable.listening = server.address
        channel = grpc.aio.insecure_channel(str(server.address))
        opened.append((channel, server, logins))
        return stream_pb2_grpc.InferenceStub(channel), servicer

    yield serve
    for channel, server, logins in opened:
        await channel.close()
        await server.drain()
        logins.close()


@pytest.fixture
async def stub(served):
    return (await served())[0]


def _attributes(model="scale", name="alice", **more):
    return {"model_name": model, "user_name": name, "password": USERS.get(name, ""), **more}


async def _auth(stub, **attributes):
    return await stub.auth(pb.AuthRequest(attributes=attributes or _attributes()), timeout=20)


async def _token(stub, model="scale", name="alice"):
    return (await _auth(stub, **_attributes(model, name))).token


def _pixels(seed=1):
    return np.random.default_rng(seed).integers(0, 256, (4, 5, 3), np.uint8)


def _record(key, pixels=None, **more):
    data = {} if pixels is None else {"data": base64.b64encode(pixels.tobytes()).decode()}
    return pb.Request(data=json.dumps({"key": key, **data, **more}).encode())


async def _answers(stub, messages):
    """Return what a stream answers, as JSON."""
    return [json.loads(each.data) async for each in stub.stream_infer(iter(messages))]


async def _kept_open(messages):
    """Yield messages and do not end: of a call that ends while it writes grpc.aio's client says INTERNAL."""
    for message in messages:
        yield message
    await asyncio.Event().wait()


async def _refusal(call):
    """Return how a call is refused: its code, words, and seconds after which to come back."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        if hasattr(call, "read"):
            while await call.read() is not EOF:
                pass
        await call
    failure: Any = caught.value
    status: Any = rpc_status.from_call(failure)
    retry = error_details_pb2.RetryInfo()
    for detail in status.details:
        detail.Unpack(retry)
    return failure.code().name, failure.details(), retry.retry_delay.seconds


def _scaled(pixels):
    cube = pixels.astype(np.float32)[None]
    low, high = (end(cube, axis=(1, 2), keepdims=True) for end in (np.min, np.max))
    return (cube - low) / (high - low)


def _values(answer, name="node.normalized"):
    output = answer["result"][name]
    return np.frombuffer(base64.b64decode(output["data"]), output["dtype"]).reshape(output["shape"])


class TestAuth:
    async def test_the_answer_says_where_to_go_on(self, stub):
        answer = await _auth(stub)
        async with grpc.aio.insecure_channel(answer.url) as channel:
            there = stream_pb2_grpc.InferenceStub(channel)
            (result,) = await _answers(there, [pb.Request(token=answer.token), _record("a", _pixels())])
        np.testing.assert_allclose(_values(result), _scaled(_pixels()), rtol=1e-5)

    async def test_a_wrong_password_is_unauthenticated_and_too_many_are_exhausted(self, stub):
        wrong = _attributes(password="wrong")
        for _ in range(3):
            code, words, _ = await _refusal(_auth(stub, **wrong))
            assert (code, words) == ("UNAUTHENTICATED", "the user name or the password is wrong")
        code, words, seconds = await _refusal(_auth(stub, **wrong))
        assert (code, seconds) == ("RESOURCE_EXHAUSTED", 20)
        assert words == "too many passwords tried for this user: try again in 20 s"

    async def test_an_unknown_model_is_not_found_for_a_user(self, stub):
        assert (await _refusal(_auth(stub, **_attributes("nothing"))))[0] == "NOT_FOUND"
        assert (await _refusal(_auth(stub, **_attributes("hers", "bob"))))[0] == "NOT_FOUND"
        assert (await _refusal(_auth(stub, **_attributes("nothing", password="wrong"))))[0] == "UNAUTHENTICATED"
        assert (await _refusal(_auth(stub, **_attributes("scale:a/b"))))[0] == "INVALID_ARGUMENT"

    async def test_where_nobody_is_asked_any_name_will_do(self, served):
        stub, _ = await served(users={}, required=False)
        answer = await _auth(stub, model_name="scale", user_name="anybody", password="anything")
        (result,) = await _answers(stub, [pb.Request(token=answer.token), _record("a", _pixels())])
        assert "result" in result


class TestStreams:
    async def test_answers_come_in_the_order_of_the_records_with_their_keys(self, stub):
        records = [_record(key, _pixels(seed)) for seed, key in enumerate(("a", 7, 1.5, None, "ü") * 4)]
        answers = await _answers(stub, [pb.Request(token=await _token(stub)), *records])
        assert [each["key"] for each in answers] == ["a", 7, 1.5, None, "ü"] * 4
        for seed, each in enumerate(answers):
            np.testing.assert_allclose(_values(each), _scaled(_pixels(seed)), rtol=1e-5)
            assert each["version"] == 1

    async def test_records_in_flight_are_computed_at_the_same_time(self, served, runs):
        stub, _ = await served(ahead=4)
        runs.held = asyncio.Event()
        call = stub.stream_infer()
        await call.write(pb.Request(token=await _token(stub)))
        for key in range(10):
            await call.write(_record(key, _pixels(key)))
        await asyncio.sleep(0.3)
        assert len(runs) == 4
        runs.held.set()
        await call.done_writing()
        assert [json.loads(each.data)["key"] async for each in call] == list(range(10))

    async def test_what_is_read_ahead_is_bounded_in_bytes(self, served, runs):
        stub, _ = await served(ahead=100, record_bytes=5000)
        runs.held = asyncio.Event()
        call = stub.stream_infer()
        await call.write(pb.Request(token=await _token(stub)))
        record = _record("a", _pixels(), outputs=["normalized"] * 200)
        for _ in range(20):
            await call.write(record)
        await asyncio.sleep(0.3)
        assert len(runs) == 20_000 // len(record.data)
        runs.held.set()
        await call.done_writing()
        assert len([each async for each in call]) == 20

    async def test_small_outputs_are_listed_too(self, stub):
        pixels = _pixels()[:1, :1]
        record = _record("a", pixels, shape=[1, 1, 1, 3], dtype="uint8")
        bad, good = await _answers(
            stub, [pb.Request(token=await _token(stub)), record, _record("b", data=[[[[1, 2, 3]], [[3, 2, 7]]]])]
        )
        assert bad["error"]["code"] == "INVALID_ARGUMENT"
        output = good["result"]["node.normalized"]
        assert output["values"] == [[[[0.0, 0.0, 0.0]], [[1.0, 0.0, 1.0]]]]
        assert (output["shape"], output["dtype"]) == ([1, 2, 1, 3], "float32")
        assert set(output) == {"shape", "dtype", "data", "values"}

    @pytest.mark.parametrize(
        ("bad", "key", "words"),
        [
            (pb.Request(data=b"no JSON"), None, "the record is no JSON"),
            (_record("bad"), "bad", "neither 'data' nor 'inputs'"),
            (_record("bad", data="!"), "bad", "not base64"),
            (_record("bad", data=base64.b64encode(bytes(59)).decode()), "bad", "cannot reshape"),
            (_record("bad", _pixels(), outputs=["nothing"]), "bad", "no output 'nothing'; it has node.normalized"),
            (_record("bad", data="x" * 200_000), None, "more than the 100000 that one may have"),
        ],
    )
    async def test_a_bad_record_gets_an_error_and_the_stream_goes_on(self, stub, bad, key, words):
        messages = [pb.Request(token=await _token(stub)), _record("a", _pixels()), bad, _record("c", _pixels(3))]
        first, failed, last = await _answers(stub, messages)
        assert failed["key"] == key
        assert words in failed["error"]["message"]
        assert failed["error"]["code"] in ("INVALID_ARGUMENT", "RESOURCE_EXHAUSTED")
        assert failed["error"]["reason"]
        assert (first["key"], last["key"]) == ("a", "c")
        np.testing.assert_allclose(_values(last), _scaled(_pixels(3)), rtol=1e-5)

    async def test_a_fault_of_the_server_says_nothing_but_an_id(self, stub, runs, monkeypatch):
        async def broken(*arguments, **named):
            raise ZeroDivisionError("a secret")

        monkeypatch.setattr(type(runs), "__call__", broken)
        (failed,) = await _answers(stub, [pb.Request(token=await _token(stub)), _record("a", _pixels())])
        assert failed["error"]["code"] == "INTERNAL"
        assert "secret" not in json.dumps(failed)

    async def test_the_user_of_the_token_is_who_calls(self, stub, runs):
        await _answers(stub, [pb.Request(token=await _token(stub, name="bob")), _record("a", _pixels())])
        assert [who for _, who in runs] == ["bob by password"]

    @pytest.mark.parametrize("opening", [[], [_record("a", _pixels())], [pb.Request()], [pb.Request(token="forged")]])
    async def test_a_stream_begins_with_a_token(self, stub, opening):
        assert (await _refusal(stub.stream_infer(iter(opening))))[0] == "UNAUTHENTICATED"

    async def test_an_expired_token_opens_no_stream(self, stub, clock):
        token = await _token(stub)
        clock[0] += 60
        code, words, _ = await _refusal(stub.stream_infer(iter([pb.Request(token=token)])))
        assert (code, words[:27]) == ("UNAUTHENTICATED", "the token expired 0 s ago, ")

    async def test_a_token_that_expires_in_a_stream_ends_it_after_what_came_before(self, stub, clock):
        call = stub.stream_infer()
        await call.write(pb.Request(token=await _token(stub)))
        await call.write(_record("a", _pixels()))
        assert json.loads((await call.read()).data)["key"] == "a"
        clock[0] += 61
        await call.write(_record("b", _pixels()))
        code, words, _ = await _refusal(call)
        assert code == "UNAUTHENTICATED"
        assert "the token expired 1 s ago, 60 s after it was issued" in words
        assert "in a stream send a renewed one" in words

    async def test_a_renewed_token_keeps_a_stream_open(self, stub, clock):
        call, token = stub.stream_infer(), await _token(stub)
        await call.write(pb.Request(token=token))
        for key in range(3):
            clock[0] += 59
            token = (await _auth(stub, token=token)).token
            await call.write(pb.Request(token=token))
            await call.write(_record(key, _pixels()))
            assert json.loads((await call.read()).data)["key"] == key
        call.cancel()

    @pytest.mark.parametrize(("model", "name"), [("scale", "bob"), ("hers", "alice")])
    async def test_a_token_of_another_user_or_model_renews_nothing(self, stub, model, name):
        other = await _token(stub, model, name)
        messages = [pb.Request(token=await _token(stub)), pb.Request(token=other)]
        code, words, _ = await _refusal(stub.stream_infer(_kept_open(messages)))
        assert code == "UNAUTHENTICATED"
        assert "another user's than the one before, or for another model" in words

    async def test_a_message_with_nothing_is_refused(self, stub):
        messages = [pb.Request(token=await _token(stub)), pb.Request()]
        assert (await _refusal(stub.stream_infer(iter(messages))))[0] == "INVALID_ARGUMENT"

    async def test_a_model_that_is_unpublished_ends_its_streams(self, stub, models):
        call = stub.stream_infer()
        await call.write(pb.Request(token=await _token(stub)))
        await call.write(_record("a", _pixels()))
        assert "result" in json.loads((await call.read()).data)
        models.apply(Change(removed=("scale",)))
        await call.write(_record("b", _pixels()))
        assert (await _refusal(call))[0] == "NOT_FOUND"

    async def test_each_record_goes_where_the_alias_points_then(self, stub, models, version):
        from dataclasses import replace

        versions = (version, replace(version, number=2))

        def point(number):
            alias = Alias("stable", (Share(number, 100.0),))
            models.apply(Change((replace(models.catalogue[0], versions=versions, aliases=(alias,)),)))

        call, found = stub.stream_infer(), []
        await call.write(pb.Request(token=await _token(stub)))
        for number in (1, 2, 1):
            point(number)
            await call.write(_record("a", _pixels()))
            found.append(json.loads((await call.read()).data)["version"])
        call.cancel()
        assert found == [1, 2, 1]

    async def test_a_drain_ends_streams_after_the_answers_that_are_due(self, served):
        stub, servicer = await served()
        token = await _token(stub)
        call = stub.stream_infer()
        await call.write(pb.Request(token=token))
        await call.write(_record("a", _pixels()))
        assert json.loads((await call.read()).data)["key"] == "a"
        servicer.drain()
        assert (await _refusal(call))[0] == "UNAVAILABLE"
        assert (await _refusal(stub.stream_infer(iter([pb.Request(token=token)]))))[0] == "UNAVAILABLE"
