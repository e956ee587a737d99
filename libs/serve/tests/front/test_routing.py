"""Which application answers, and the id that every answer carries."""

import asyncio
import uuid

import grpc
import pytest

PING = "Ping /ray.serve.RayServeAPIService/ListApplications for available applications."
NOT_SET = f"Application metadata not set. {PING}"
KINDS = ("Unary", "Server", "Client", "Bidi")


class App:
    """Says its name by all four kinds, and what reached it."""

    def __init__(self, name, probe) -> None:
        self.name, self.answer = name, probe.pb.Answer

    async def Unary(self, request, grpc_context):
        return self.answer(text=self.name, number=request.number)

    async def Server(self, request):
        yield self.answer(text=self.name)

    async def Client(self, stream):
        return self.answer(text=self.name, number=len([each async for each in stream]))

    async def Bidi(self, stream):
        async for _ in stream:
            yield self.answer(text=self.name)


def call(served, kind, metadata=()):
    request = served.ask() if kind in ("Unary", "Server") else iter([served.ask()])
    return getattr(served.stub, kind)(request, metadata=metadata)


def not_found(name):
    return f"Application '{name}' not found. {PING}"


CASES = [
    ((), (), None, NOT_SET),
    ((), (("application", ""),), None, NOT_SET),
    ((), (("application", "x"),), None, not_found("x")),
    (("app1",), (), "app1", None),
    (("app1",), (("application", ""),), "app1", None),
    (("app1",), (("application", "app1"),), "app1", None),
    (("app1",), (("application", "app2"),), None, not_found("app2")),
    (("app1", "app2"), (), None, NOT_SET),
    (("app1", "app2"), (("application", "app2"),), "app2", None),
    (("app1", "app2"), (("application", "App1"),), None, not_found("App1")),
    (("app1", "app2"), (("application", "/app1"),), None, not_found("/app1")),
    (("app1", "app2"), (("application", "app1"), ("application", "app2")), "app2", None),
    (("app1", "app2"), (("application", "app1"), ("application", "x")), None, not_found("x")),
]


@pytest.mark.parametrize("kind", KINDS)
async def test_the_application_is_chosen_by_metadata(served, probe, kind, ended):
    for names, metadata, expected, text in CASES:
        server = await served()
        for name in names:
            server.applications.deploy(name, App(name, probe))
        end = await ended(call(server, kind, metadata))
        if expected is None:
            assert (end.code, end.details, end.messages) == (grpc.StatusCode.NOT_FOUND, text, [])
        else:
            assert end.code is grpc.StatusCode.OK
            assert [each.text for each in end.messages] == [expected]
        assert end.trailers[0][0] == "request_id"


async def test_an_id_comes_back_as_it_is_and_the_last_one_counts(served, probe, ended):
    server = await served()
    server.applications.deploy("app1", App("app1", probe))
    end = await ended(call(server, "Unary", (("request_id", "1"), ("request_id", "my id"))))
    assert end.trailers == (("request_id", "my id"),)


@pytest.mark.parametrize("metadata", [(), (("request_id", ""),)])
async def test_who_sends_no_id_gets_a_new_one(served, probe, metadata, ended):
    server = await served()
    server.applications.deploy("app1", App("app1", probe))
    ends = await asyncio.gather(*(ended(call(server, "Unary", metadata)) for _ in range(2)))
    ids = [dict(end.trailers)["request_id"] for end in ends]
    assert ids[0] != ids[1]
    assert all(uuid.UUID(each).version == 4 and each == each.lower() for each in ids)
    assert server.applications.exchanges[0].facts.sent_request_id is None


async def test_an_id_that_is_too_long_to_come_back_is_refused(served, probe, ended):
    server = await served()
    server.applications.deploy("app1", App("app1", probe))
    end = await ended(call(server, "Unary", (("request_id", "x" * 4097),)))
    assert end.code is grpc.StatusCode.INVALID_ARGUMENT
    assert end.details.startswith("metadata request_id: expected at most 4096 characters")
    assert uuid.UUID(end.trailers[0][1]).version == 4


async def test_facts_of_the_request_reach_the_application(served, probe, ended):
    server = await served(request_timeout_s=60.0)
    server.applications.deploy("app1", App("app1", probe))
    sent = (
        ("application", "app1"),
        ("multiplexed_model_id", "m"),
        ("session_id", "s"),
        ("k", "1"),
        ("k", "2"),
        ("raw-bin", b"\0\xff"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    )
    await ended(call(server, "Unary", sent))
    (exchange,) = server.applications.exchanges
    facts = exchange.facts
    assert (facts.application, facts.multiplexed_model_id, facts.session_id) == ("app1", "m", "s")
    assert [each for each in facts.metadata if each[0] not in ("user-agent", "traceparent")] == list(sent[:-1])
    assert facts.peer.startswith("ipv4:127.0.0.1:")
    assert facts.traceparent.startswith("00-0af7651916cd43dd8448eb211c80319c-")
    assert facts.deadline is not None
    assert facts.auth["transport_security_type"] == (b"insecure",)


async def test_two_services_with_one_method_reach_the_same_handler(served, probe):
    server = await served()
    server.applications.deploy("app1", App("app1", probe))
    other = probe.grpc.OtherStub(server.channel)
    assert (await other.Unary(server.ask(number=3))).number == 3


async def test_what_is_too_much_metadata_is_refused_with_an_id(served, probe, ended):
    server = await served(max_metadata_bytes=8192)
    server.applications.deploy("app1", App("app1", probe))
    end = await ended(call(server, "Unary", (("request_id", "1"), ("big", "x" * 9000))))
    assert end.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert end.trailers[0] == ("request_id", "1")
