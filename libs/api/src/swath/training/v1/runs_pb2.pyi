import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from swath.training.v1 import commands_pb2 as _commands_pb2
from swath.training.v1 import events_pb2 as _events_pb2
from swath.training.v1 import worker_pb2 as _worker_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class RunState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RUN_STATE_UNSPECIFIED: _ClassVar[RunState]
    RUN_STATE_QUEUED: _ClassVar[RunState]
    RUN_STATE_RUNNING: _ClassVar[RunState]
    RUN_STATE_STOPPING: _ClassVar[RunState]
    RUN_STATE_ENDING: _ClassVar[RunState]
    RUN_STATE_COMPLETE: _ClassVar[RunState]
    RUN_STATE_FAILED: _ClassVar[RunState]
    RUN_STATE_CANCELLED: _ClassVar[RunState]

class RunArtifact(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    RUN_ARTIFACT_UNSPECIFIED: _ClassVar[RunArtifact]
    RUN_ARTIFACT_SPECIFICATION: _ClassVar[RunArtifact]
    RUN_ARTIFACT_PIPELINE: _ClassVar[RunArtifact]
    RUN_ARTIFACT_WEIGHTS: _ClassVar[RunArtifact]
RUN_STATE_UNSPECIFIED: RunState
RUN_STATE_QUEUED: RunState
RUN_STATE_RUNNING: RunState
RUN_STATE_STOPPING: RunState
RUN_STATE_ENDING: RunState
RUN_STATE_COMPLETE: RunState
RUN_STATE_FAILED: RunState
RUN_STATE_CANCELLED: RunState
RUN_ARTIFACT_UNSPECIFIED: RunArtifact
RUN_ARTIFACT_SPECIFICATION: RunArtifact
RUN_ARTIFACT_PIPELINE: RunArtifact
RUN_ARTIFACT_WEIGHTS: RunArtifact

class Run(_message.Message):
    __slots__ = ("run_id", "session_id", "experiment", "name", "state", "paused", "trainer", "device", "hash", "hyperparameters", "step", "epoch", "last_seq", "attempt", "created_at", "started_at", "finished_at", "message", "reason", "pipeline_digest", "weights_digest", "result_pipeline", "result_weights", "spec_digest")
    class HyperparametersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    EXPERIMENT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    PAUSED_FIELD_NUMBER: _ClassVar[int]
    TRAINER_FIELD_NUMBER: _ClassVar[int]
    DEVICE_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    HYPERPARAMETERS_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQ_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    FINISHED_AT_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_DIGEST_FIELD_NUMBER: _ClassVar[int]
    RESULT_PIPELINE_FIELD_NUMBER: _ClassVar[int]
    RESULT_WEIGHTS_FIELD_NUMBER: _ClassVar[int]
    SPEC_DIGEST_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    session_id: str
    experiment: str
    name: str
    state: RunState
    paused: bool
    trainer: int
    device: str
    hash: str
    hyperparameters: _containers.ScalarMap[str, float]
    step: int
    epoch: int
    last_seq: int
    attempt: int
    created_at: _timestamp_pb2.Timestamp
    started_at: _timestamp_pb2.Timestamp
    finished_at: _timestamp_pb2.Timestamp
    message: str
    reason: str
    pipeline_digest: str
    weights_digest: str
    result_pipeline: str
    result_weights: str
    spec_digest: str
    def __init__(self, run_id: _Optional[str] = ..., session_id: _Optional[str] = ..., experiment: _Optional[str] = ..., name: _Optional[str] = ..., state: _Optional[_Union[RunState, str]] = ..., paused: bool = ..., trainer: _Optional[int] = ..., device: _Optional[str] = ..., hash: _Optional[str] = ..., hyperparameters: _Optional[_Mapping[str, float]] = ..., step: _Optional[int] = ..., epoch: _Optional[int] = ..., last_seq: _Optional[int] = ..., attempt: _Optional[int] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., finished_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., message: _Optional[str] = ..., reason: _Optional[str] = ..., pipeline_digest: _Optional[str] = ..., weights_digest: _Optional[str] = ..., result_pipeline: _Optional[str] = ..., result_weights: _Optional[str] = ..., spec_digest: _Optional[str] = ...) -> None: ...

class ListRunsRequest(_message.Message):
    __slots__ = ("experiments", "session_ids", "states", "names", "page_size", "page_token")
    EXPERIMENTS_FIELD_NUMBER: _ClassVar[int]
    SESSION_IDS_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    experiments: _containers.RepeatedScalarFieldContainer[str]
    session_ids: _containers.RepeatedScalarFieldContainer[str]
    states: _containers.RepeatedScalarFieldContainer[RunState]
    names: _containers.RepeatedScalarFieldContainer[str]
    page_size: int
    page_token: str
    def __init__(self, experiments: _Optional[_Iterable[str]] = ..., session_ids: _Optional[_Iterable[str]] = ..., states: _Optional[_Iterable[_Union[RunState, str]]] = ..., names: _Optional[_Iterable[str]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListRunsResponse(_message.Message):
    __slots__ = ("runs", "next_page_token")
    RUNS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    runs: _containers.RepeatedCompositeFieldContainer[Run]
    next_page_token: str
    def __init__(self, runs: _Optional[_Iterable[_Union[Run, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetRunRequest(_message.Message):
    __slots__ = ("run_id",)
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    def __init__(self, run_id: _Optional[str] = ...) -> None: ...

class GetRunResponse(_message.Message):
    __slots__ = ("run",)
    RUN_FIELD_NUMBER: _ClassVar[int]
    run: Run
    def __init__(self, run: _Optional[_Union[Run, _Mapping]] = ...) -> None: ...

class AttachRunRequest(_message.Message):
    __slots__ = ("run_id", "after_seq", "follow")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_SEQ_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    after_seq: int
    follow: bool
    def __init__(self, run_id: _Optional[str] = ..., after_seq: _Optional[int] = ..., follow: bool = ...) -> None: ...

class AttachRunResponse(_message.Message):
    __slots__ = ("seq", "event")
    SEQ_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    seq: int
    event: _events_pb2.RunEvent
    def __init__(self, seq: _Optional[int] = ..., event: _Optional[_Union[_events_pb2.RunEvent, _Mapping]] = ...) -> None: ...

class PauseRunRequest(_message.Message):
    __slots__ = ("run_id", "command_id")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    command_id: str
    def __init__(self, run_id: _Optional[str] = ..., command_id: _Optional[str] = ...) -> None: ...

class PauseRunResponse(_message.Message):
    __slots__ = ("command",)
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    command: _commands_pb2.RunCommand
    def __init__(self, command: _Optional[_Union[_commands_pb2.RunCommand, _Mapping]] = ...) -> None: ...

class ResumeRunRequest(_message.Message):
    __slots__ = ("run_id", "command_id", "steps")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    STEPS_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    command_id: str
    steps: int
    def __init__(self, run_id: _Optional[str] = ..., command_id: _Optional[str] = ..., steps: _Optional[int] = ...) -> None: ...

class ResumeRunResponse(_message.Message):
    __slots__ = ("command",)
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    command: _commands_pb2.RunCommand
    def __init__(self, command: _Optional[_Union[_commands_pb2.RunCommand, _Mapping]] = ...) -> None: ...

class ChangeRunRequest(_message.Message):
    __slots__ = ("run_id", "command_id", "hyperparameters")
    class HyperparametersEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    HYPERPARAMETERS_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    command_id: str
    hyperparameters: _containers.ScalarMap[str, float]
    def __init__(self, run_id: _Optional[str] = ..., command_id: _Optional[str] = ..., hyperparameters: _Optional[_Mapping[str, float]] = ...) -> None: ...

class ChangeRunResponse(_message.Message):
    __slots__ = ("command",)
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    command: _commands_pb2.RunCommand
    def __init__(self, command: _Optional[_Union[_commands_pb2.RunCommand, _Mapping]] = ...) -> None: ...

class EvaluateRunRequest(_message.Message):
    __slots__ = ("run_id", "command_id", "split", "sample_ids", "max_batches")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    SPLIT_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_IDS_FIELD_NUMBER: _ClassVar[int]
    MAX_BATCHES_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    command_id: str
    split: str
    sample_ids: _containers.RepeatedScalarFieldContainer[str]
    max_batches: int
    def __init__(self, run_id: _Optional[str] = ..., command_id: _Optional[str] = ..., split: _Optional[str] = ..., sample_ids: _Optional[_Iterable[str]] = ..., max_batches: _Optional[int] = ...) -> None: ...

class EvaluateRunResponse(_message.Message):
    __slots__ = ("command",)
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    command: _commands_pb2.RunCommand
    def __init__(self, command: _Optional[_Union[_commands_pb2.RunCommand, _Mapping]] = ...) -> None: ...

class CancelEvaluationRequest(_message.Message):
    __slots__ = ("run_id", "command_id", "reason")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    command_id: str
    reason: str
    def __init__(self, run_id: _Optional[str] = ..., command_id: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...

class CancelEvaluationResponse(_message.Message):
    __slots__ = ("command",)
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    command: _commands_pb2.RunCommand
    def __init__(self, command: _Optional[_Union[_commands_pb2.RunCommand, _Mapping]] = ...) -> None: ...

class SaveCheckpointRequest(_message.Message):
    __slots__ = ("run_id", "command_id")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    command_id: str
    def __init__(self, run_id: _Optional[str] = ..., command_id: _Optional[str] = ...) -> None: ...

class SaveCheckpointResponse(_message.Message):
    __slots__ = ("command",)
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    command: _commands_pb2.RunCommand
    def __init__(self, command: _Optional[_Union[_commands_pb2.RunCommand, _Mapping]] = ...) -> None: ...

class RestoreRunRequest(_message.Message):
    __slots__ = ("run_id", "command_id", "checkpoint")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    command_id: str
    checkpoint: str
    def __init__(self, run_id: _Optional[str] = ..., command_id: _Optional[str] = ..., checkpoint: _Optional[str] = ...) -> None: ...

class RestoreRunResponse(_message.Message):
    __slots__ = ("command",)
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    command: _commands_pb2.RunCommand
    def __init__(self, command: _Optional[_Union[_commands_pb2.RunCommand, _Mapping]] = ...) -> None: ...

class SetSamplesRequest(_message.Message):
    __slots__ = ("run_id", "command_id", "discarded")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    COMMAND_ID_FIELD_NUMBER: _ClassVar[int]
    DISCARDED_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    command_id: str
    discarded: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, run_id: _Optional[str] = ..., command_id: _Optional[str] = ..., discarded: _Optional[_Iterable[str]] = ...) -> None: ...

class SetSamplesResponse(_message.Message):
    __slots__ = ("command",)
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    command: _commands_pb2.RunCommand
    def __init__(self, command: _Optional[_Union[_commands_pb2.RunCommand, _Mapping]] = ...) -> None: ...

class StopRunRequest(_message.Message):
    __slots__ = ("run_id",)
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    def __init__(self, run_id: _Optional[str] = ...) -> None: ...

class StopRunResponse(_message.Message):
    __slots__ = ("run",)
    RUN_FIELD_NUMBER: _ClassVar[int]
    run: Run
    def __init__(self, run: _Optional[_Union[Run, _Mapping]] = ...) -> None: ...

class DescribeRunRequest(_message.Message):
    __slots__ = ("run_id",)
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    def __init__(self, run_id: _Optional[str] = ...) -> None: ...

class DescribeRunResponse(_message.Message):
    __slots__ = ("hyperparameters", "splits")
    HYPERPARAMETERS_FIELD_NUMBER: _ClassVar[int]
    SPLITS_FIELD_NUMBER: _ClassVar[int]
    hyperparameters: _containers.RepeatedCompositeFieldContainer[Hyperparameter]
    splits: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, hyperparameters: _Optional[_Iterable[_Union[Hyperparameter, _Mapping]]] = ..., splits: _Optional[_Iterable[str]] = ...) -> None: ...

class Hyperparameter(_message.Message):
    __slots__ = ("name", "type", "minimum", "exclusive_minimum", "maximum", "value", "effect", "description")
    class Type(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        TYPE_UNSPECIFIED: _ClassVar[Hyperparameter.Type]
        TYPE_FLOAT: _ClassVar[Hyperparameter.Type]
        TYPE_INTEGER: _ClassVar[Hyperparameter.Type]
    TYPE_UNSPECIFIED: Hyperparameter.Type
    TYPE_FLOAT: Hyperparameter.Type
    TYPE_INTEGER: Hyperparameter.Type
    class Effect(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        EFFECT_UNSPECIFIED: _ClassVar[Hyperparameter.Effect]
        EFFECT_NEXT_STEP: _ClassVar[Hyperparameter.Effect]
        EFFECT_NEXT_EPOCH: _ClassVar[Hyperparameter.Effect]
    EFFECT_UNSPECIFIED: Hyperparameter.Effect
    EFFECT_NEXT_STEP: Hyperparameter.Effect
    EFFECT_NEXT_EPOCH: Hyperparameter.Effect
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_FIELD_NUMBER: _ClassVar[int]
    EXCLUSIVE_MINIMUM_FIELD_NUMBER: _ClassVar[int]
    MAXIMUM_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    EFFECT_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    name: str
    type: Hyperparameter.Type
    minimum: float
    exclusive_minimum: bool
    maximum: float
    value: float
    effect: Hyperparameter.Effect
    description: str
    def __init__(self, name: _Optional[str] = ..., type: _Optional[_Union[Hyperparameter.Type, str]] = ..., minimum: _Optional[float] = ..., exclusive_minimum: bool = ..., maximum: _Optional[float] = ..., value: _Optional[float] = ..., effect: _Optional[_Union[Hyperparameter.Effect, str]] = ..., description: _Optional[str] = ...) -> None: ...

class GetEvaluationRequest(_message.Message):
    __slots__ = ("run_id", "number")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    number: int
    def __init__(self, run_id: _Optional[str] = ..., number: _Optional[int] = ...) -> None: ...

class GetEvaluationResponse(_message.Message):
    __slots__ = ("command",)
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    command: _commands_pb2.RunCommand
    def __init__(self, command: _Optional[_Union[_commands_pb2.RunCommand, _Mapping]] = ...) -> None: ...

class ListCommandsRequest(_message.Message):
    __slots__ = ("run_id", "after")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    after: int
    def __init__(self, run_id: _Optional[str] = ..., after: _Optional[int] = ...) -> None: ...

class ListCommandsResponse(_message.Message):
    __slots__ = ("commands",)
    COMMANDS_FIELD_NUMBER: _ClassVar[int]
    commands: _containers.RepeatedCompositeFieldContainer[_commands_pb2.RunCommand]
    def __init__(self, commands: _Optional[_Iterable[_Union[_commands_pb2.RunCommand, _Mapping]]] = ...) -> None: ...

class ListCheckpointsRequest(_message.Message):
    __slots__ = ("run_id",)
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    def __init__(self, run_id: _Optional[str] = ...) -> None: ...

class ListCheckpointsResponse(_message.Message):
    __slots__ = ("checkpoints",)
    CHECKPOINTS_FIELD_NUMBER: _ClassVar[int]
    checkpoints: _containers.RepeatedCompositeFieldContainer[RunCheckpoint]
    def __init__(self, checkpoints: _Optional[_Iterable[_Union[RunCheckpoint, _Mapping]]] = ...) -> None: ...

class RunCheckpoint(_message.Message):
    __slots__ = ("digest", "kind", "step", "epoch", "hash", "attempt", "created_at")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    digest: str
    kind: _worker_pb2.CheckpointKind
    step: int
    epoch: int
    hash: str
    attempt: int
    created_at: _timestamp_pb2.Timestamp
    def __init__(self, digest: _Optional[str] = ..., kind: _Optional[_Union[_worker_pb2.CheckpointKind, str]] = ..., step: _Optional[int] = ..., epoch: _Optional[int] = ..., hash: _Optional[str] = ..., attempt: _Optional[int] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ReadFilesRequest(_message.Message):
    __slots__ = ("run_id", "after", "kinds")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    after: int
    kinds: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, run_id: _Optional[str] = ..., after: _Optional[int] = ..., kinds: _Optional[_Iterable[str]] = ...) -> None: ...

class ReadFilesResponse(_message.Message):
    __slots__ = ("files",)
    FILES_FIELD_NUMBER: _ClassVar[int]
    files: _containers.RepeatedCompositeFieldContainer[RunFile]
    def __init__(self, files: _Optional[_Iterable[_Union[RunFile, _Mapping]]] = ...) -> None: ...

class RunFile(_message.Message):
    __slots__ = ("number", "kind", "digest", "rows", "first_step", "last_step", "attempt", "created_at")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    FIRST_STEP_FIELD_NUMBER: _ClassVar[int]
    LAST_STEP_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    number: int
    kind: str
    digest: str
    rows: int
    first_step: int
    last_step: int
    attempt: int
    created_at: _timestamp_pb2.Timestamp
    def __init__(self, number: _Optional[int] = ..., kind: _Optional[str] = ..., digest: _Optional[str] = ..., rows: _Optional[int] = ..., first_step: _Optional[int] = ..., last_step: _Optional[int] = ..., attempt: _Optional[int] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ReadCurvesRequest(_message.Message):
    __slots__ = ("run_id",)
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    def __init__(self, run_id: _Optional[str] = ...) -> None: ...

class ReadCurvesResponse(_message.Message):
    __slots__ = ("curves",)
    CURVES_FIELD_NUMBER: _ClassVar[int]
    curves: _containers.RepeatedCompositeFieldContainer[CurveSummary]
    def __init__(self, curves: _Optional[_Iterable[_Union[CurveSummary, _Mapping]]] = ...) -> None: ...

class CurveSummary(_message.Message):
    __slots__ = ("name", "split", "first_step", "last_step", "count", "minimum", "maximum")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SPLIT_FIELD_NUMBER: _ClassVar[int]
    FIRST_STEP_FIELD_NUMBER: _ClassVar[int]
    LAST_STEP_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_FIELD_NUMBER: _ClassVar[int]
    MAXIMUM_FIELD_NUMBER: _ClassVar[int]
    name: str
    split: str
    first_step: int
    last_step: int
    count: int
    minimum: float
    maximum: float
    def __init__(self, name: _Optional[str] = ..., split: _Optional[str] = ..., first_step: _Optional[int] = ..., last_step: _Optional[int] = ..., count: _Optional[int] = ..., minimum: _Optional[float] = ..., maximum: _Optional[float] = ...) -> None: ...

class ReadCurveRequest(_message.Message):
    __slots__ = ("run_id", "name", "split", "first_step", "last_step", "max_points", "after_seq")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    SPLIT_FIELD_NUMBER: _ClassVar[int]
    FIRST_STEP_FIELD_NUMBER: _ClassVar[int]
    LAST_STEP_FIELD_NUMBER: _ClassVar[int]
    MAX_POINTS_FIELD_NUMBER: _ClassVar[int]
    AFTER_SEQ_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    name: str
    split: str
    first_step: int
    last_step: int
    max_points: int
    after_seq: int
    def __init__(self, run_id: _Optional[str] = ..., name: _Optional[str] = ..., split: _Optional[str] = ..., first_step: _Optional[int] = ..., last_step: _Optional[int] = ..., max_points: _Optional[int] = ..., after_seq: _Optional[int] = ...) -> None: ...

class ReadCurveResponse(_message.Message):
    __slots__ = ("steps", "values", "count", "last_seq")
    STEPS_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQ_FIELD_NUMBER: _ClassVar[int]
    steps: _containers.RepeatedScalarFieldContainer[int]
    values: _containers.RepeatedScalarFieldContainer[float]
    count: int
    last_seq: int
    def __init__(self, steps: _Optional[_Iterable[int]] = ..., values: _Optional[_Iterable[float]] = ..., count: _Optional[int] = ..., last_seq: _Optional[int] = ...) -> None: ...

class ReadArtifactRequest(_message.Message):
    __slots__ = ("run_id", "artifact")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    ARTIFACT_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    artifact: RunArtifact
    def __init__(self, run_id: _Optional[str] = ..., artifact: _Optional[_Union[RunArtifact, str]] = ...) -> None: ...

class ReadArtifactResponse(_message.Message):
    __slots__ = ("data",)
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    def __init__(self, data: _Optional[bytes] = ...) -> None: ...

class ReadLogsRequest(_message.Message):
    __slots__ = ("run_id", "follow", "after")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    FOLLOW_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    follow: bool
    after: int
    def __init__(self, run_id: _Optional[str] = ..., follow: bool = ..., after: _Optional[int] = ...) -> None: ...

class ReadLogsResponse(_message.Message):
    __slots__ = ("lines",)
    LINES_FIELD_NUMBER: _ClassVar[int]
    lines: _containers.RepeatedCompositeFieldContainer[LogLine]
    def __init__(self, lines: _Optional[_Iterable[_Union[LogLine, _Mapping]]] = ...) -> None: ...

class ReadMetricsRequest(_message.Message):
    __slots__ = ("run_id", "names", "after_seq")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    AFTER_SEQ_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    names: _containers.RepeatedScalarFieldContainer[str]
    after_seq: int
    def __init__(self, run_id: _Optional[str] = ..., names: _Optional[_Iterable[str]] = ..., after_seq: _Optional[int] = ...) -> None: ...

class ReadMetricsResponse(_message.Message):
    __slots__ = ("metrics",)
    METRICS_FIELD_NUMBER: _ClassVar[int]
    metrics: _containers.RepeatedCompositeFieldContainer[Metric]
    def __init__(self, metrics: _Optional[_Iterable[_Union[Metric, _Mapping]]] = ...) -> None: ...

class Metric(_message.Message):
    __slots__ = ("name", "split", "step", "epoch", "value", "seq")
    NAME_FIELD_NUMBER: _ClassVar[int]
    SPLIT_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    name: str
    split: str
    step: int
    epoch: int
    value: float
    seq: int
    def __init__(self, name: _Optional[str] = ..., split: _Optional[str] = ..., step: _Optional[int] = ..., epoch: _Optional[int] = ..., value: _Optional[float] = ..., seq: _Optional[int] = ...) -> None: ...

class LogLine(_message.Message):
    __slots__ = ("number", "attempt", "time", "level", "logger", "text", "exception", "facts")
    class FactsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    ATTEMPT_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    LOGGER_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    EXCEPTION_FIELD_NUMBER: _ClassVar[int]
    FACTS_FIELD_NUMBER: _ClassVar[int]
    number: int
    attempt: int
    time: _timestamp_pb2.Timestamp
    level: str
    logger: str
    text: str
    exception: str
    facts: _containers.ScalarMap[str, str]
    def __init__(self, number: _Optional[int] = ..., attempt: _Optional[int] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., level: _Optional[str] = ..., logger: _Optional[str] = ..., text: _Optional[str] = ..., exception: _Optional[str] = ..., facts: _Optional[_Mapping[str, str]] = ...) -> None: ...
