from swath.training.v1 import commands_pb2 as _commands_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CheckpointKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CHECKPOINT_KIND_UNSPECIFIED: _ClassVar[CheckpointKind]
    CHECKPOINT_KIND_RESUME: _ClassVar[CheckpointKind]
    CHECKPOINT_KIND_USER: _ClassVar[CheckpointKind]

class StopCause(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STOP_CAUSE_UNSPECIFIED: _ClassVar[StopCause]
    STOP_CAUSE_CLIENT: _ClassVar[StopCause]
    STOP_CAUSE_ABANDONED: _ClassVar[StopCause]
    STOP_CAUSE_SESSION_CLOSED: _ClassVar[StopCause]
    STOP_CAUSE_DRAIN: _ClassVar[StopCause]
CHECKPOINT_KIND_UNSPECIFIED: CheckpointKind
CHECKPOINT_KIND_RESUME: CheckpointKind
CHECKPOINT_KIND_USER: CheckpointKind
STOP_CAUSE_UNSPECIFIED: StopCause
STOP_CAUSE_CLIENT: StopCause
STOP_CAUSE_ABANDONED: StopCause
STOP_CAUSE_SESSION_CLOSED: StopCause
STOP_CAUSE_DRAIN: StopCause

class ConnectRequest(_message.Message):
    __slots__ = ("hello", "items", "heartbeat", "lines")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    items: Items
    heartbeat: Heartbeat
    lines: Lines
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., items: _Optional[_Union[Items, _Mapping]] = ..., heartbeat: _Optional[_Union[Heartbeat, _Mapping]] = ..., lines: _Optional[_Union[Lines, _Mapping]] = ...) -> None: ...

class ConnectResponse(_message.Message):
    __slots__ = ("welcome", "ack", "stop", "release", "command")
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    ACK_FIELD_NUMBER: _ClassVar[int]
    STOP_FIELD_NUMBER: _ClassVar[int]
    RELEASE_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    welcome: Welcome
    ack: Ack
    stop: Stop
    release: Release
    command: _commands_pb2.RunCommand
    def __init__(self, welcome: _Optional[_Union[Welcome, _Mapping]] = ..., ack: _Optional[_Union[Ack, _Mapping]] = ..., stop: _Optional[_Union[Stop, _Mapping]] = ..., release: _Optional[_Union[Release, _Mapping]] = ..., command: _Optional[_Union[_commands_pb2.RunCommand, _Mapping]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("run_id", "attempt", "token", "pid", "host", "process", "takes_commands")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    PID_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    PROCESS_FIELD_NUMBER: _ClassVar[int]
    TAKES_COMMANDS_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    attempt: int
    token: str
    pid: int
    host: str
    process: int
    takes_commands: bool
    def __init__(self, run_id: _Optional[str] = ..., attempt: _Optional[int] = ..., token: _Optional[str] = ..., pid: _Optional[int] = ..., host: _Optional[str] = ..., process: _Optional[int] = ..., takes_commands: bool = ...) -> None: ...

class Items(_message.Message):
    __slots__ = ("items",)
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[Item]
    def __init__(self, items: _Optional[_Iterable[_Union[Item, _Mapping]]] = ...) -> None: ...

class Item(_message.Message):
    __slots__ = ("seq", "event", "checkpoint", "result", "failure", "stopped", "file")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    FAILURE_FIELD_NUMBER: _ClassVar[int]
    STOPPED_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    seq: int
    event: Event
    checkpoint: Checkpoint
    result: Result
    failure: Failure
    stopped: Stopped
    file: File
    def __init__(self, seq: _Optional[int] = ..., event: _Optional[_Union[Event, _Mapping]] = ..., checkpoint: _Optional[_Union[Checkpoint, _Mapping]] = ..., result: _Optional[_Union[Result, _Mapping]] = ..., failure: _Optional[_Union[Failure, _Mapping]] = ..., stopped: _Optional[_Union[Stopped, _Mapping]] = ..., file: _Optional[_Union[File, _Mapping]] = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ("position", "response", "event")
    POSITION_FIELD_NUMBER: _ClassVar[int]
    RESPONSE_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    position: int
    response: bytes
    event: bytes
    def __init__(self, position: _Optional[int] = ..., response: _Optional[bytes] = ..., event: _Optional[bytes] = ...) -> None: ...

class Checkpoint(_message.Message):
    __slots__ = ("digest", "position", "kind", "step", "epoch")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    digest: str
    position: int
    kind: CheckpointKind
    step: int
    epoch: int
    def __init__(self, digest: _Optional[str] = ..., position: _Optional[int] = ..., kind: _Optional[_Union[CheckpointKind, str]] = ..., step: _Optional[int] = ..., epoch: _Optional[int] = ...) -> None: ...

class File(_message.Message):
    __slots__ = ("kind", "digest", "rows", "first_step", "last_step", "position")
    KIND_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    FIRST_STEP_FIELD_NUMBER: _ClassVar[int]
    LAST_STEP_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    kind: str
    digest: str
    rows: int
    first_step: int
    last_step: int
    position: int
    def __init__(self, kind: _Optional[str] = ..., digest: _Optional[str] = ..., rows: _Optional[int] = ..., first_step: _Optional[int] = ..., last_step: _Optional[int] = ..., position: _Optional[int] = ...) -> None: ...

class Result(_message.Message):
    __slots__ = ("weights_digest", "pipeline_digest", "final")
    WEIGHTS_DIGEST_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    FINAL_FIELD_NUMBER: _ClassVar[int]
    weights_digest: str
    pipeline_digest: str
    final: Event
    def __init__(self, weights_digest: _Optional[str] = ..., pipeline_digest: _Optional[str] = ..., final: _Optional[_Union[Event, _Mapping]] = ...) -> None: ...

class Failure(_message.Message):
    __slots__ = ("code", "reason", "message", "metadata")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    CODE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    code: str
    reason: str
    message: str
    metadata: _containers.ScalarMap[str, str]
    def __init__(self, code: _Optional[str] = ..., reason: _Optional[str] = ..., message: _Optional[str] = ..., metadata: _Optional[_Mapping[str, str]] = ...) -> None: ...

class Stopped(_message.Message):
    __slots__ = ("weights_digest", "pipeline_digest", "cause", "final")
    WEIGHTS_DIGEST_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    FINAL_FIELD_NUMBER: _ClassVar[int]
    weights_digest: str
    pipeline_digest: str
    cause: StopCause
    final: Event
    def __init__(self, weights_digest: _Optional[str] = ..., pipeline_digest: _Optional[str] = ..., cause: _Optional[_Union[StopCause, str]] = ..., final: _Optional[_Union[Event, _Mapping]] = ...) -> None: ...

class Lines(_message.Message):
    __slots__ = ("lines",)
    LINES_FIELD_NUMBER: _ClassVar[int]
    lines: _containers.RepeatedCompositeFieldContainer[Line]
    def __init__(self, lines: _Optional[_Iterable[_Union[Line, _Mapping]]] = ...) -> None: ...

class Line(_message.Message):
    __slots__ = ("number", "line")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    LINE_FIELD_NUMBER: _ClassVar[int]
    number: int
    line: bytes
    def __init__(self, number: _Optional[int] = ..., line: _Optional[bytes] = ...) -> None: ...

class Heartbeat(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("spec", "acked_seq", "heartbeat_s", "lost_after_s", "stop", "logged", "run_events", "live_control", "commands", "position")
    SPEC_FIELD_NUMBER: _ClassVar[int]
    ACKED_SEQ_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_S_FIELD_NUMBER: _ClassVar[int]
    LOST_AFTER_S_FIELD_NUMBER: _ClassVar[int]
    STOP_FIELD_NUMBER: _ClassVar[int]
    LOGGED_FIELD_NUMBER: _ClassVar[int]
    RUN_EVENTS_FIELD_NUMBER: _ClassVar[int]
    LIVE_CONTROL_FIELD_NUMBER: _ClassVar[int]
    COMMANDS_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    spec: Spec
    acked_seq: int
    heartbeat_s: float
    lost_after_s: float
    stop: StopCause
    logged: int
    run_events: bool
    live_control: bool
    commands: _containers.RepeatedCompositeFieldContainer[_commands_pb2.RunCommand]
    position: int
    def __init__(self, spec: _Optional[_Union[Spec, _Mapping]] = ..., acked_seq: _Optional[int] = ..., heartbeat_s: _Optional[float] = ..., lost_after_s: _Optional[float] = ..., stop: _Optional[_Union[StopCause, str]] = ..., logged: _Optional[int] = ..., run_events: bool = ..., live_control: bool = ..., commands: _Optional[_Iterable[_Union[_commands_pb2.RunCommand, _Mapping]]] = ..., position: _Optional[int] = ...) -> None: ...

class Spec(_message.Message):
    __slots__ = ("trainer", "trainrun", "pipeline_digest", "weights_digest", "checkpoint_digest", "device", "artifacts", "workspace")
    TRAINER_FIELD_NUMBER: _ClassVar[int]
    TRAINRUN_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_DIGEST_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_DIGEST_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    ARTIFACTS_FIELD_NUMBER: _ClassVar[int]
    WORKSPACE_FIELD_NUMBER: _ClassVar[int]
    trainer: int
    trainrun: bytes
    pipeline_digest: str
    weights_digest: str
    checkpoint_digest: str
    device: str
    artifacts: bytes
    workspace: bytes
    def __init__(self, trainer: _Optional[int] = ..., trainrun: _Optional[bytes] = ..., pipeline_digest: _Optional[str] = ..., weights_digest: _Optional[str] = ..., checkpoint_digest: _Optional[str] = ..., device: _Optional[str] = ..., artifacts: _Optional[bytes] = ..., workspace: _Optional[bytes] = ...) -> None: ...

class Ack(_message.Message):
    __slots__ = ("seq",)
    SEQ_FIELD_NUMBER: _ClassVar[int]
    seq: int
    def __init__(self, seq: _Optional[int] = ...) -> None: ...

class Stop(_message.Message):
    __slots__ = ("cause",)
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    cause: StopCause
    def __init__(self, cause: _Optional[_Union[StopCause, str]] = ...) -> None: ...

class Release(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
