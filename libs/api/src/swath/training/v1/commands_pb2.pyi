import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CommandKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COMMAND_KIND_UNSPECIFIED: _ClassVar[CommandKind]
    COMMAND_KIND_PAUSE: _ClassVar[CommandKind]
    COMMAND_KIND_RESUME: _ClassVar[CommandKind]
    COMMAND_KIND_CHANGE: _ClassVar[CommandKind]
    COMMAND_KIND_EVALUATE: _ClassVar[CommandKind]
    COMMAND_KIND_CANCEL_EVALUATION: _ClassVar[CommandKind]
    COMMAND_KIND_SAVE_CHECKPOINT: _ClassVar[CommandKind]
    COMMAND_KIND_RESTORE: _ClassVar[CommandKind]
    COMMAND_KIND_SET_SAMPLES: _ClassVar[CommandKind]

class CommandState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COMMAND_STATE_UNSPECIFIED: _ClassVar[CommandState]
    COMMAND_STATE_ASKED: _ClassVar[CommandState]
    COMMAND_STATE_TAKEN: _ClassVar[CommandState]
    COMMAND_STATE_DONE: _ClassVar[CommandState]
    COMMAND_STATE_REFUSED: _ClassVar[CommandState]
COMMAND_KIND_UNSPECIFIED: CommandKind
COMMAND_KIND_PAUSE: CommandKind
COMMAND_KIND_RESUME: CommandKind
COMMAND_KIND_CHANGE: CommandKind
COMMAND_KIND_EVALUATE: CommandKind
COMMAND_KIND_CANCEL_EVALUATION: CommandKind
COMMAND_KIND_SAVE_CHECKPOINT: CommandKind
COMMAND_KIND_RESTORE: CommandKind
COMMAND_KIND_SET_SAMPLES: CommandKind
COMMAND_STATE_UNSPECIFIED: CommandState
COMMAND_STATE_ASKED: CommandState
COMMAND_STATE_TAKEN: CommandState
COMMAND_STATE_DONE: CommandState
COMMAND_STATE_REFUSED: CommandState

class RunCommand(_message.Message):
    __slots__ = ("number", "id", "kind", "arguments", "by", "state", "step", "position", "message", "progress", "created_at", "changed_at")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    ARGUMENTS_FIELD_NUMBER: _ClassVar[int]
    BY_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    POSITION_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    CHANGED_AT_FIELD_NUMBER: _ClassVar[int]
    number: int
    id: str
    kind: CommandKind
    arguments: str
    by: str
    state: CommandState
    step: int
    position: int
    message: str
    progress: CommandProgress
    created_at: _timestamp_pb2.Timestamp
    changed_at: _timestamp_pb2.Timestamp
    def __init__(self, number: _Optional[int] = ..., id: _Optional[str] = ..., kind: _Optional[_Union[CommandKind, str]] = ..., arguments: _Optional[str] = ..., by: _Optional[str] = ..., state: _Optional[_Union[CommandState, str]] = ..., step: _Optional[int] = ..., position: _Optional[int] = ..., message: _Optional[str] = ..., progress: _Optional[_Union[CommandProgress, _Mapping]] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., changed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class CommandProgress(_message.Message):
    __slots__ = ("done", "total", "metrics", "cancelled", "digest", "hyperparameters")
    class MetricsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    class HyperparametersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    DONE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    CANCELLED_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    HYPERPARAMETERS_FIELD_NUMBER: _ClassVar[int]
    done: int
    total: int
    metrics: _containers.ScalarMap[str, float]
    cancelled: bool
    digest: str
    hyperparameters: _containers.ScalarMap[str, float]
    def __init__(self, done: _Optional[int] = ..., total: _Optional[int] = ..., metrics: _Optional[_Mapping[str, float]] = ..., cancelled: bool = ..., digest: _Optional[str] = ..., hyperparameters: _Optional[_Mapping[str, float]] = ...) -> None: ...
