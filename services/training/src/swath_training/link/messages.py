"""swath.training.v1 to plain Python and back, for both ends of a worker's link."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from types import MappingProxyType
from typing import assert_never

from google.protobuf.message import DecodeError

from swath.errors import InvalidInput
from swath.training.v1 import runs_pb2
from swath.training.v1 import worker_pb2 as pb
from swath_training.link.commands import (
    checkpoint_message,
    checkpoint_of,
    command_message_of,
    command_of_message,
    file_of,
)
from swath_training.runs.items import (
    Ack,
    Ask,
    Checkpoint,
    Command,
    Event,
    Failure,
    File,
    Hello,
    Item,
    Line,
    Release,
    Result,
    Stop,
    Stopped,
    Welcome,
)
from swath_training.runs.model import StopCause, Trainer

_CAUSES = {
    StopCause.CLIENT: pb.STOP_CAUSE_CLIENT,
    StopCause.ABANDONED: pb.STOP_CAUSE_ABANDONED,
    StopCause.SESSION_CLOSED: pb.STOP_CAUSE_SESSION_CLOSED,
    StopCause.DRAIN: pb.STOP_CAUSE_DRAIN,
}
_SESSION_KEY = "swath-session-id"
_TRACE_KEY = "traceparent"
_CAUSES_BACK = {number: cause for cause, number in _CAUSES.items()}


# From the service


def command_message(command: Command) -> pb.ConnectResponse:
    """Return a command as a message."""
    match command:
        case Ack(seq=seq):
            return pb.ConnectResponse(ack=pb.Ack(seq=seq))
        case Stop(cause=cause):
            return pb.ConnectResponse(stop=pb.Stop(cause=_CAUSES[cause]))
        case Release():
            return pb.ConnectResponse(release=pb.Release())
        case Ask(command=asked):
            return pb.ConnectResponse(command=command_message_of(asked))
        case other:
            assert_never(other)


def command_of(message: pb.ConnectResponse) -> Command | None:
    """Return a message as a command, None for one of a newer service that this worker does not know."""
    match message.WhichOneof("message"):
        case "ack":
            return Ack(message.ack.seq)
        case "stop":
            return Stop(_CAUSES_BACK.get(message.stop.cause, StopCause.CLIENT))
        case "release":
            return Release()
        case "command":
            return Ask(command_of_message(message.command))
        case _:
            return None


def welcome_message(welcome: Welcome, heartbeat_s: float, lost_after_s: float) -> pb.ConnectResponse:
    """Return a Welcome as a message, with the link's times."""
    spec = pb.Spec(
        trainer=welcome.trainer,
        trainrun=welcome.trainrun,
        pipeline_digest=welcome.pipeline_digest,
        weights_digest=welcome.weights_digest or "",
        checkpoint_digest=welcome.checkpoint_digest or "",
        device=welcome.device,
        artifacts=json.dumps(dict(welcome.artifacts)).encode(),
        workspace=json.dumps(dict(welcome.workspace)).encode(),
    )
    stop = pb.STOP_CAUSE_UNSPECIFIED if welcome.stop is None else _CAUSES[welcome.stop]
    return pb.ConnectResponse(
        welcome=pb.Welcome(
            spec=spec,
            acked_seq=welcome.acked_seq,
            heartbeat_s=heartbeat_s,
            lost_after_s=lost_after_s,
            stop=stop,
            logged=welcome.logged,
            run_events=welcome.run_events,
            live_control=welcome.live_control,
            commands=map(command_message_of, welcome.commands),
            position=welcome.position,
        )
    )


def call_metadata(welcome: Welcome) -> tuple[tuple[str, str], ...]:
    """Return the metadata of the link that ties a worker's spans and log lines to the Train call of its run."""
    return (_SESSION_KEY, welcome.session_id), (_TRACE_KEY, welcome.traceparent)


def welcome_of(message: pb.Welcome, metadata: Mapping[str, str | bytes] = MappingProxyType({})) -> Welcome:
    """Return a Welcome.

    Args:
        message: The message.
        metadata: Initial metadata of the call.
    """
    spec = message.spec
    return Welcome(
        trainer=Trainer(spec.trainer),
        trainrun=spec.trainrun,
        pipeline_digest=spec.pipeline_digest,
        weights_digest=spec.weights_digest or None,
        checkpoint_digest=spec.checkpoint_digest or None,
        device=spec.device,
        acked_seq=message.acked_seq,
        stop=_CAUSES_BACK.get(message.stop),
        logged=message.logged,
        run_events=message.run_events,
        live_control=message.live_control,
        commands=tuple(map(command_of_message, message.commands)),
        position=message.position,
        artifacts=json.loads(spec.artifacts),
        workspace=json.loads(spec.workspace),
        session_id=str(metadata.get(_SESSION_KEY, "")),
        traceparent=str(metadata.get(_TRACE_KEY, "")),
    )


# From a worker


def hello_of(message: pb.ConnectRequest) -> Hello:
    """Return the first message of a link.

    Raises:
        InvalidInput: It is no Hello.
    """
    if message.WhichOneof("message") != "hello":
        raise InvalidInput("a worker's first message must be a Hello")
    hello = message.hello
    return Hello(hello.run_id, hello.attempt, hello.token, hello.pid, hello.process, hello.takes_commands)


def item_message(item: Item) -> pb.Item:
    """Return an item as a message."""
    match item.body:
        case Event() as event:
            return pb.Item(seq=item.seq, event=_event_message(event))
        case Checkpoint() as checkpoint:
            return pb.Item(seq=item.seq, checkpoint=checkpoint_message(checkpoint))
        case File() as file:
            return pb.Item(seq=item.seq, file=pb.File(**asdict(file)))
        case Result() as result:
            return pb.Item(
                seq=item.seq,
                result=pb.Result(
                    weights_digest=result.weights_digest,
                    pipeline_digest=result.pipeline_digest,
                    final=_event_message(result.final),
                ),
            )
        case Failure() as failure:
            return pb.Item(
                seq=item.seq,
                failure=pb.Failure(
                    code=failure.code, reason=failure.reason, message=failure.message, metadata=failure.metadata
                ),
            )
        case Stopped() as stopped:
            return pb.Item(
                seq=item.seq,
                stopped=pb.Stopped(
                    weights_digest=stopped.weights_digest or "",
                    pipeline_digest=stopped.pipeline_digest or "",
                    cause=_CAUSES[stopped.cause],
                    final=_event_message(stopped.final) if stopped.final else None,
                ),
            )
        case other:
            assert_never(other)


def item_of(message: pb.Item) -> Item:
    """Return a message as an item.

    Raises:
        InvalidInput: It holds nothing that this service knows.
    """
    match message.WhichOneof("item"):
        case "event":
            return Item(message.seq, _event(message.event))
        case "checkpoint":
            return Item(message.seq, checkpoint_of(message.checkpoint))
        case "file":
            return Item(message.seq, file_of(message.file))
        case "result":
            result = message.result
            return Item(message.seq, Result(result.weights_digest, result.pipeline_digest, _event(result.final)))
        case "failure":
            failure = message.failure
            return Item(message.seq, Failure(failure.code, failure.reason, failure.message, dict(failure.metadata)))
        case "stopped":
            stopped = message.stopped
            return Item(
                message.seq,
                Stopped(
                    _CAUSES_BACK.get(stopped.cause, StopCause.CLIENT),
                    stopped.weights_digest or None,
                    stopped.pipeline_digest or None,
                    _event(stopped.final) if stopped.HasField("final") else None,
                ),
            )
        case _:
            raise InvalidInput(f"item {message.seq} holds nothing that this server knows")


def log_line(*, time: float, level: str, logger: str, text: str, exception: str, facts: Mapping[str, str]) -> bytes:
    """Return a log line as a serialized LogLine, without number and attempt; `time` is in Unix seconds."""
    line = runs_pb2.LogLine(level=level, logger=_utf8(logger), text=_utf8(text), exception=_utf8(exception))
    line.time.FromMicroseconds(round(time * 1e6))
    for name, value in facts.items():
        line.facts[_utf8(name)] = _utf8(value)
    return line.SerializeToString()


def lines_message(lines: Iterable[Line]) -> pb.ConnectRequest:
    """Return log lines as a message."""
    return pb.ConnectRequest(lines=pb.Lines(lines=[pb.Line(number=each.number, line=each.payload) for each in lines]))


def lines_of(message: pb.Lines) -> list[Line]:
    """Return a message as log lines.

    Raises:
        InvalidInput: One is none.
    """
    try:
        for each in message.lines:
            runs_pb2.LogLine.FromString(each.line)
    except DecodeError as error:
        raise InvalidInput(f"a log line is none: {error}") from error
    return [Line(each.number, each.line) for each in message.lines]


def _utf8(text: str) -> str:
    """Return a text without what UTF-8 has no form for."""
    return text.encode(errors="backslashreplace").decode()


def _event_message(event: Event) -> pb.Event:
    return pb.Event(position=event.position, event=event.payload)


def _event(message: pb.Event) -> Event:
    return Event(message.position, message.event, message.response)
