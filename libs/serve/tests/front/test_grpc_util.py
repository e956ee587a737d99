"""What a handler sees of its call."""

import asyncio
import pickle
import time

import grpc
import pytest

from swath.serve.exchange import RequestFacts
from swath.serve.grpc_util import RayServegRPCContext, gRPCAborted, gRPCInputStream

SENT = (
    ("application", "app1"),
    ("user-agent", "x"),
    ("k", "1"),
    ("k", "2"),
    ("raw-bin", b"\0\xff"),
    ("session_id", "s"),
)


@pytest.fixture
def context():
    return RayServegRPCContext(
        RequestFacts(
            request_id="made", application="app1", sent_application="app1", metadata=SENT, peer="ipv4:1.2.3.4:5"
        )
    )


def test_a_new_context_says_nothing_of_the_answer(context):
    assert (context.code(), context.details()) == (None, "")
    assert context.trailing_metadata() == [("request_id", "made")]
    assert context.outcome().code == 0


def test_it_shows_what_the_client_sent_and_nothing_made(context):
    assert context.invocation_metadata() == list(SENT)
    assert (context.application(), context.session_id(), context.peer()) == ("app1", "s", "ipv4:1.2.3.4:5")
    assert context.request_id() is None
    assert context.multiplexed_model_id() is None
    assert context.traceparent() is None
    assert (context.peer_identities(), context.peer_identity_key()) == (None, None)


def test_peers_are_identified_by_their_certificate():
    auth = {"x509_common_name": (b"a",), "x509_subject_alternative_name": (b"b", b"c")}
    context = RayServegRPCContext(RequestFacts(request_id="1", application="a", auth=auth))
    assert context.peer_identity_key() == "x509_subject_alternative_name"
    assert context.peer_identities() == (b"b", b"c")


def test_the_last_word_counts(context):
    context.set_code(grpc.StatusCode.DATA_LOSS)
    context.set_code(5)
    context.set_details("a")
    context.set_details("b")
    context.set_trailing_metadata([("x", "1")])
    context.set_trailing_metadata([("request_id", "own"), ("y-bin", b"\0")])
    context.set_compression(grpc.Compression.Gzip)
    assert context.code() is grpc.StatusCode.NOT_FOUND
    assert context.trailing_metadata() == [("request_id", "made"), ("request_id", "own"), ("y-bin", b"\0")]
    end = context.outcome()
    assert (end.code, end.details, end.compression) == (5, "b", grpc.Compression.Gzip.value)
    assert end.trailing_metadata == (("request_id", "own"), ("y-bin", b"\0"))


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        (("Upper", "1"), "expected a key of"),
        (("grpc-status", "0"), "gRPC's own"),
        (("x-bin", "text"), "x-bin: expected bytes, got str"),
        (("x", "é"), "x: expected printable ASCII"),
        (("x", "a\nb"), "x: expected printable ASCII"),
        (("x", 1), "x: expected a str, got int"),
    ],
)
def test_metadata_that_cannot_be_sent_is_refused_where_it_is_set(context, pair, said):
    with pytest.raises(ValueError, match=said):
        context.set_trailing_metadata([pair])
    assert context.trailing_metadata() == [("request_id", "made")]


def test_a_code_that_does_not_exist_is_refused(context):
    with pytest.raises(ValueError, match=r"expected a grpc\.StatusCode, got 99"):
        context.set_code(99)


async def test_abort_ends_the_call_and_may_be_awaited(context):
    context.set_trailing_metadata([("x", "1")])
    with pytest.raises(gRPCAborted):
        await context.abort(grpc.StatusCode.ABORTED, "no")
    end = context.outcome()
    assert (end.code, end.details, end.trailing_metadata) == (10, "no", (("x", "1"),))


def test_abort_with_ok_is_a_mistake(context):
    with pytest.raises(ValueError, match="not OK"):
        context.abort(grpc.StatusCode.OK)
    assert context.code() is None


def test_a_call_is_active_until_it_ends_or_its_time_is_over(context):
    assert context.is_active()
    assert context.time_remaining() is None
    context.close()
    assert not context.is_active()
    late = RayServegRPCContext(RequestFacts(request_id="1", application="a", deadline=time.time() - 1))
    assert (late.is_active(), late.time_remaining()) == (False, 0.0)
    early = RayServegRPCContext(RequestFacts(request_id="1", application="a", deadline=time.time() + 60))
    assert 50 < (early.time_remaining() or 0.0) <= 60
    assert early.is_active()


def test_a_context_can_be_pickled(context):
    context.set_code(grpc.StatusCode.ABORTED)
    copy = pickle.loads(pickle.dumps(context))
    assert copy.code() is grpc.StatusCode.ABORTED
    assert copy.invocation_metadata() == list(SENT)


async def numbers(count, gone=None, gone_at=None):
    for number in range(count):
        if gone is not None and number == gone_at:
            gone.set()
        yield number
    if gone is not None and gone_at == count:
        gone.set()


async def test_a_stream_ends_with_the_last_message():
    stream = gRPCInputStream(numbers(3))
    assert not stream.is_exhausted
    assert [each async for each in stream] == [0, 1, 2]
    assert (stream.is_exhausted, stream.is_cancelled()) == (True, False)
    assert [each async for each in stream] == []


@pytest.mark.parametrize("gone_at", [1, 3])
async def test_a_client_that_goes_is_no_end_of_its_stream(gone_at):
    gone, seen = asyncio.Event(), []
    stream = gRPCInputStream(numbers(3, gone, gone_at), cancel_event=gone)
    with pytest.raises(asyncio.CancelledError):
        async for each in stream:
            seen.append(each)
    assert seen == list(range(gone_at))
    assert (stream.is_exhausted, stream.is_cancelled()) == (False, True)


async def test_a_handler_that_wants_no_more_gets_no_more():
    stopped = []
    stream = gRPCInputStream(numbers(3), stop=lambda: stopped.append(1))
    seen = []
    async for each in stream:
        seen.append(each)
        stream.cancel()
    stream.cancel()
    assert (seen, stopped, stream.is_cancelled()) == ([0], [1], True)
