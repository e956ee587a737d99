"""Who may call what, and who they are: over real connections."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from pydantic import ValidationError

import swath.inference.v1.profiles_pb2
import swath.models.v1.catalogue_pb2
import swath.training.v1.references_pb2
import swath.training.v1.worker_pb2  # noqa: F401
from swath.api import REDHARE, REGISTRY, ROUTES
from swath.api.descriptors import find_service
from swath.api.model import paths
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.cuvis_ai.v1.cuvis_ai_pb2_grpc import CuvisAIServiceStub
from swath.errors import InvalidInput
from swath.runtime.auth.access import Access
from swath.runtime.auth.authentication import Authenticator
from swath.runtime.auth.authorization import GRANTS
from swath.runtime.auth.certificates import Authority
from swath.runtime.auth.tokens import hash_of, new_token
from swath.runtime.settings import ServerSettings, problems
from swath.session.v1 import session_pb2
from swath.session.v1.session_pb2_grpc import SessionAuthorityStub

ALICE = "swath_alices-token"
FORGED = 'By=spiffe://swath/session;Hash=00;Subject="CN=mallory";URI=spiffe://swath/user/alice'


async def _who(channel: grpc.aio.Channel, *metadata: tuple[str, str]) -> str:
    stub: Any = CuvisAIServiceStub(channel)  # pyright: ignore[reportArgumentType]
    return (await stub.CreateSession(pb.CreateSessionRequest(), metadata=metadata, timeout=10)).session_id


async def _refusal(answer: Any) -> tuple[grpc.StatusCode, str, str]:
    """How a call is refused: its code, text and reason."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await answer
    failure: Any = caught.value
    status: Any = rpc_status.from_call(failure)
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    return failure.code(), failure.details(), info.reason


def _bearer(token: str) -> tuple[str, str]:
    return "authorization", f"Bearer {token}"


# Services


async def test_a_worker_may_not_close_sessions(session_service, connect, authority: Authority):
    channel = connect(await session_service(), authority.issue_service("worker"))
    call = SessionAuthorityStub(channel).RemoveSession(session_pb2.RemoveSessionRequest())
    code, text, reason = await _refusal(call)
    assert (code, reason) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
    assert "spiffe://swath/worker may not call /swath.session.v1.SessionAuthority/RemoveSession" in text
    assert "granted to spiffe://swath/pipeline" in text


@pytest.mark.parametrize("name", ["inference", "worker"])
async def test_public_methods_are_the_gateways_to_call(session_service, connect, authority: Authority, name):
    channel = connect(await session_service(), authority.issue_service(name))
    code, text, _ = await _refusal(_who(channel))
    assert code is grpc.StatusCode.PERMISSION_DENIED
    assert "clients call the gateway" in text


async def test_a_user_does_not_get_past_the_gateway(session_service, connect, authority: Authority):
    channel = connect(await session_service(), authority.issue_user("alice"))
    assert (await _refusal(_who(channel)))[0] is grpc.StatusCode.PERMISSION_DENIED
    stream = SessionAuthorityStub(channel).WatchGone(session_pb2.WatchGoneRequest())
    assert (await _refusal(stream.read()))[0] is grpc.StatusCode.PERMISSION_DENIED


async def test_the_gateway_may_call_nothing_private(session_service, connect, authority: Authority):
    channel = connect(await session_service(), authority.issue_service("gateway"))
    call = SessionAuthorityStub(channel).AddSession(session_pb2.AddSessionRequest())
    assert (await _refusal(call))[0] is grpc.StatusCode.PERMISSION_DENIED
    assert await _who(channel) == "nobody"


async def test_an_unknown_method_is_unknown_to_everybody(session_service, connect, authority: Authority):
    channel = connect(await session_service(), authority.issue_service("worker"))
    code, *_ = await _refusal(channel.unary_unary("/nothing.Here/Nothing")(b""))
    assert code is grpc.StatusCode.UNIMPLEMENTED


def test_the_table_names_methods_that_there_are():
    for method in {each for methods in GRANTS.values() for each in methods}:
        service, name = method[1:].split("/")
        assert name in find_service(service).methods_by_name


def test_the_table_opens_public_methods_to_the_gateway_and_to_who_forwards_calls_alone():
    forwarded = {each.name: paths(each.forwards) for each in (*REGISTRY.services, *REGISTRY.processes)}
    for service, methods in GRANTS.items():
        if service != "gateway":
            assert methods & ROUTES.keys() == forwarded.get(service, frozenset()), service
    assert GRANTS["gateway"] >= ROUTES.keys()
    assert [name for name, methods in forwarded.items() if methods] == ["experiment"]


# Users


@pytest.fixture
async def plain(serve, who_am_i) -> Callable:
    """Starts a session service in plain text that knows Alice's token."""

    async def start(**settings) -> grpc.aio.Channel:
        known = {"auth": "required", "tokens": {"alice": hash_of(ALICE)}}
        return (await serve({"session": who_am_i}, **known | settings)).channel

    return start


async def test_a_token_says_who_calls(plain):
    assert await _who(await plain(), _bearer(ALICE)) == "alice by token"


async def test_callers_at_the_same_time_are_not_mixed_up(plain):
    channel = await plain(tokens={name: hash_of(name) for name in ("alice", "bob")})
    names = ["alice", "bob"] * 50
    answers = await asyncio.gather(*(_who(channel, _bearer(name)) for name in names))
    assert answers == [f"{name} by token" for name in names]


async def test_who_says_nothing_is_told_what_was_expected(plain):
    code, text, reason = await _refusal(_who(await plain()))
    assert (code, reason) == (grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED")
    assert "expected metadata 'authorization: Bearer TOKEN' with a token of this server" in text


@pytest.mark.parametrize(
    "metadata",
    [
        [_bearer("swath_someone-elses")],
        [_bearer("")],
        [("authorization", f"Basic {ALICE}")],
        [("authorization", ALICE)],
        [_bearer(ALICE), _bearer("another")],
        [_bearer(hash_of(ALICE))],
    ],
)
async def test_a_wrong_token_is_refused_and_never_repeated(plain, metadata):
    code, text, _ = await _refusal(_who(await plain(), *metadata))
    assert code is grpc.StatusCode.UNAUTHENTICATED
    assert not any(value.removeprefix("Bearer ").strip() in text for _, value in metadata if len(value) > 7)


async def test_health_and_reflection_need_no_token(plain):
    stub: Any = health_pb2_grpc.HealthStub(await plain())
    answer = await stub.Check(health_pb2.HealthCheckRequest(service="swath.session"))
    assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.mark.parametrize("method", ["auth", "stream_infer"])
@pytest.mark.parametrize("behind_gateway", [False, True])
def test_methods_that_find_out_who_calls_ask_for_no_token_but_for_the_gateway(method, behind_gateway):
    settings = ServerSettings(auth="required", tokens={"alice": hash_of(ALICE)})
    authenticator = Authenticator(settings, behind_gateway=behind_gateway)
    access = Access(authenticator, tls=behind_gateway, behind_gateway=behind_gateway)
    assert (access.admission(f"/{REDHARE}/{method}") is not None) == behind_gateway
    assert access.admission("/cuvis_ai.v1.CuvisAIService/CreateSession") is not None


async def test_a_request_of_nobody_is_not_even_read(plain):
    channel = await plain()
    call = channel.unary_unary("/cuvis_ai.v1.CuvisAIService/CreateSession")(b"\xff\xff")
    assert (await _refusal(call))[0] is grpc.StatusCode.UNAUTHENTICATED


async def test_a_tokens_file_that_changes_is_taken_up(plain, tmp_path):
    file = tmp_path / "tokens.json"
    file.write_text("{}")
    channel = await plain(tokens={}, tokens_file=file)
    assert (await _refusal(_who(channel, _bearer(ALICE))))[0] is grpc.StatusCode.UNAUTHENTICATED
    file.write_text(json.dumps({"alice": [hash_of("her old one"), hash_of(ALICE)]}))
    await asyncio.sleep(0.15)
    assert await _who(channel, _bearer(ALICE)) == "alice by token"
    file.write_text("half of a fi")
    await asyncio.sleep(0.15)
    assert await _who(channel, _bearer(ALICE)) == "alice by token"


async def test_a_client_certificate_says_who_calls(session_service, connect, authority: Authority):
    server = await session_service(behind_gateway=False, auth="required")
    assert await _who(connect(server, authority.issue_user("alice"))) == "alice by certificate"


async def test_a_token_counts_before_a_certificate_and_a_wrong_one_is_not_made_up_for(
    session_service, connect, authority: Authority
):
    server = await session_service(behind_gateway=False, auth="required", tokens={"alice": hash_of(ALICE)})
    channel = connect(server, authority.issue_user("bob"))
    assert await _who(channel, _bearer(ALICE)) == "alice by token"
    assert (await _refusal(_who(channel, _bearer("wrong"))))[0] is grpc.StatusCode.UNAUTHENTICATED


async def test_a_certificate_of_a_service_is_no_user(session_service, connect, authority: Authority):
    server = await session_service(behind_gateway=False, auth="required")
    code, text, _ = await _refusal(_who(connect(server, authority.issue_service("worker"))))
    assert code is grpc.StatusCode.UNAUTHENTICATED
    assert "a client certificate with the URI name spiffe://swath/user/NAME" in text


async def test_the_gateway_says_whose_certificate_it_saw(session_service, connect, authority: Authority):
    channel = connect(await session_service(auth="required"), authority.issue_service("gateway"))
    assert await _who(channel, ("x-forwarded-client-cert", FORGED)) == "alice by certificate"
    assert (await _refusal(_who(channel)))[0] is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize(
    "header",
    [
        "",
        "nonsense",
        "Hash=00",
        "Hash=00;URI=spiffe://swath/session",
        "Hash=00;URI=spiffe://elsewhere/user/alice",
        "Hash=00;URI=spiffe://swath/user/",
        "Hash=00;URI=spiffe://swath/user/bob;URI=spiffe://swath/user/alice",
        "Hash=00;URI=spiffe://swath/user/bob,Hash=00;URI=spiffe://swath/user/alice",
        'Subject="CN=a;URI=spiffe://swath/user/alice"',
        r'Subject="CN=a\";URI=spiffe://swath/user/alice"',
    ],
)
async def test_a_forwarded_certificate_that_names_not_just_one_user_names_none(
    session_service, connect, authority: Authority, header
):
    channel = connect(await session_service(auth="required"), authority.issue_service("gateway"))
    code, *_ = await _refusal(_who(channel, ("x-forwarded-client-cert", header)))
    assert code is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize("peer", ["user", "service"])
async def test_a_forwarded_certificate_is_believed_from_the_gateway_alone(
    session_service, connect, authority: Authority, peer
):
    server = await session_service(behind_gateway=False, auth="required")
    header = ("x-forwarded-client-cert", FORGED)
    if peer == "user":
        assert await _who(connect(server, authority.issue_user("mallory")), header) == "mallory by certificate"
    else:
        channel = connect(server, authority.issue_service("worker"))
        assert (await _refusal(_who(channel, header)))[0] is grpc.StatusCode.UNAUTHENTICATED


async def test_a_forwarded_certificate_counts_nothing_in_plain_text(plain):
    code, *_ = await _refusal(_who(await plain(), ("x-forwarded-client-cert", FORGED)))
    assert code is grpc.StatusCode.UNAUTHENTICATED


async def test_tokens_over_tls_need_no_client_certificate(session_service, authority: Authority):
    server = await session_service(
        behind_gateway=False, client_certificates="ignored", auth="required", tokens={"alice": hash_of(ALICE)}
    )
    credentials = grpc.ssl_channel_credentials(authority.ca.read_bytes())
    async with grpc.aio.secure_channel(f"localhost:{server.port}", credentials) as channel:
        assert await _who(channel, _bearer(ALICE)) == "alice by token"
        # Private methods stay private.
        call = SessionAuthorityStub(channel).AddSession(session_pb2.AddSessionRequest())
        assert (await _refusal(call))[0] is grpc.StatusCode.PERMISSION_DENIED


async def test_a_service_that_is_called_asks_no_service_for_a_token(session_service, connect, authority: Authority):
    server = await session_service(auth="required", tokens={"alice": hash_of(ALICE)})
    stub = SessionAuthorityStub(connect(server, authority.issue_service("inference")))
    assert await stub.ReadSessions(session_pb2.ReadSessionsRequest()) == session_pb2.ReadSessionsResponse()


# Settings


@pytest.mark.parametrize(
    ("host", "asked"),
    [
        ("127.0.0.1", False),
        ("127.8.8.8", False),
        ("localhost", False),
        ("::1", False),
        ("[::1]", False),
        ("unix:/run/swath.sock", False),
        ("0.0.0.0", True),
        ("::", True),
        ("10.0.0.7", True),
        ("swath.example.org", True),
    ],
)
def test_who_listens_to_this_machine_alone_asks_nobody(host, asked):
    tokens: Any = {"alice": hash_of(ALICE)}
    assert ServerSettings(host=host, tokens=tokens).auth_required is asked
    assert ServerSettings(host=host, auth="off").auth_required is False
    assert ServerSettings(host=host, auth="required", tokens=tokens).auth_required is True


def test_settings_by_which_nobody_could_call_are_refused():
    with pytest.raises(ValidationError) as caught:
        ServerSettings(host="0.0.0.0")
    [line] = problems(caught.value)
    assert line.startswith("settings: callers must say who they are on 0.0.0.0, but there is no way to: set tokens")


async def test_a_service_behind_the_gateway_must_see_certificates(session_service):
    with pytest.raises(InvalidInput, match="client_certificates must be required"):
        await session_service(client_certificates="ignored")


@pytest.mark.parametrize(
    "tokens",
    [
        {"alice": "swath_secret"},
        {"": hash_of("a")},
        {"a b": hash_of("a")},
        {"alice": []},
        {"a": hash_of("x"), "b": hash_of("x")},
    ],
)
def test_tokens_that_are_none_are_refused_without_being_shown(tokens):
    with pytest.raises(ValidationError, match="tokens") as caught:
        ServerSettings(tokens=tokens)
    assert "swath_secret" not in "".join(problems(caught.value))


def test_new_tokens_are_long_and_each_is_another():
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(len(token) >= 43 and hash_of(token) == known for token, known in tokens)
