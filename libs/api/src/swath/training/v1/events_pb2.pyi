from swath.training.v1 import commands_pb2 as _commands_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Split(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SPLIT_UNSPECIFIED: _ClassVar[Split]
    SPLIT_TRAIN: _ClassVar[Split]
    SPLIT_VAL: _ClassVar[Split]
    SPLIT_TEST: _ClassVar[Split]
    SPLIT_INFERENCE: _ClassVar[Split]
SPLIT_UNSPECIFIED: Split
SPLIT_TRAIN: Split
SPLIT_VAL: Split
SPLIT_TEST: Split
SPLIT_INFERENCE: Split

class RunEvent(_message.Message):
    __slots__ = ("status", "split", "epoch", "batch", "step", "losses", "metrics", "message", "moment", "command")
    class Status(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATUS_UNSPECIFIED: _ClassVar[RunEvent.Status]
        STATUS_RUNNING: _ClassVar[RunEvent.Status]
        STATUS_COMPLETE: _ClassVar[RunEvent.Status]
        STATUS_ERROR: _ClassVar[RunEvent.Status]
        STATUS_CANCELLED: _ClassVar[RunEvent.Status]
    STATUS_UNSPECIFIED: RunEvent.Status
    STATUS_RUNNING: RunEvent.Status
    STATUS_COMPLETE: RunEvent.Status
    STATUS_ERROR: RunEvent.Status
    STATUS_CANCELLED: RunEvent.Status
    class LossesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    class MetricsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    STATUS_FIELD_NUMBER: _ClassVar[int]
    SPLIT_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    BATCH_FIELD_NUMBER: _ClassVar[int]
    STEP_FIELD_NUMBER: _ClassVar[int]
    LOSSES_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    MOMENT_FIELD_NUMBER: _ClassVar[int]
    COMMAND_FIELD_NUMBER: _ClassVar[int]
    status: RunEvent.Status
    split: Split
    epoch: int
    batch: int
    step: int
    losses: _containers.ScalarMap[str, float]
    metrics: _containers.ScalarMap[str, float]
    message: str
    moment: RunMoment
    command: _commands_pb2.RunCommand
    def __init__(self, status: _Optional[_Union[RunEvent.Status, str]] = ..., split: _Optional[_Union[Split, str]] = ..., epoch: _Optional[int] = ..., batch: _Optional[int] = ..., step: _Optional[int] = ..., losses: _Optional[_Mapping[str, float]] = ..., metrics: _Optional[_Mapping[str, float]] = ..., message: _Optional[str] = ..., moment: _Optional[_Union[RunMoment, _Mapping]] = ..., command: _Optional[_Union[_commands_pb2.RunCommand, _Mapping]] = ...) -> None: ...

class RunMoment(_message.Message):
    __slots__ = ("hook", "split", "progress", "epochs", "node", "calibration_pending", "checkpoint", "calibration", "evaluation")
    class Hook(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        HOOK_UNSPECIFIED: _ClassVar[RunMoment.Hook]
        HOOK_FIT_START: _ClassVar[RunMoment.Hook]
        HOOK_EPOCH_END: _ClassVar[RunMoment.Hook]
        HOOK_VALIDATION_END: _ClassVar[RunMoment.Hook]
        HOOK_FIT_END: _ClassVar[RunMoment.Hook]
        HOOK_CHECKPOINT_RESTORED: _ClassVar[RunMoment.Hook]
        HOOK_CALIBRATION_START: _ClassVar[RunMoment.Hook]
        HOOK_CALIBRATION_PROGRESS: _ClassVar[RunMoment.Hook]
        HOOK_CALIBRATION_END: _ClassVar[RunMoment.Hook]
        HOOK_EVALUATION_START: _ClassVar[RunMoment.Hook]
        HOOK_EVALUATION_PROGRESS: _ClassVar[RunMoment.Hook]
        HOOK_EVALUATION_END: _ClassVar[RunMoment.Hook]
        HOOK_POST_FIT_END: _ClassVar[RunMoment.Hook]
        HOOK_STATISTICAL_NODE_START: _ClassVar[RunMoment.Hook]
        HOOK_STATISTICAL_PROGRESS: _ClassVar[RunMoment.Hook]
        HOOK_STATISTICAL_NODE_END: _ClassVar[RunMoment.Hook]
        HOOK_EPOCH_START: _ClassVar[RunMoment.Hook]
        HOOK_TRAIN_PROGRESS: _ClassVar[RunMoment.Hook]
        HOOK_VALIDATION_START: _ClassVar[RunMoment.Hook]
        HOOK_VALIDATION_PROGRESS: _ClassVar[RunMoment.Hook]
    HOOK_UNSPECIFIED: RunMoment.Hook
    HOOK_FIT_START: RunMoment.Hook
    HOOK_EPOCH_END: RunMoment.Hook
    HOOK_VALIDATION_END: RunMoment.Hook
    HOOK_FIT_END: RunMoment.Hook
    HOOK_CHECKPOINT_RESTORED: RunMoment.Hook
    HOOK_CALIBRATION_START: RunMoment.Hook
    HOOK_CALIBRATION_PROGRESS: RunMoment.Hook
    HOOK_CALIBRATION_END: RunMoment.Hook
    HOOK_EVALUATION_START: RunMoment.Hook
    HOOK_EVALUATION_PROGRESS: RunMoment.Hook
    HOOK_EVALUATION_END: RunMoment.Hook
    HOOK_POST_FIT_END: RunMoment.Hook
    HOOK_STATISTICAL_NODE_START: RunMoment.Hook
    HOOK_STATISTICAL_PROGRESS: RunMoment.Hook
    HOOK_STATISTICAL_NODE_END: RunMoment.Hook
    HOOK_EPOCH_START: RunMoment.Hook
    HOOK_TRAIN_PROGRESS: RunMoment.Hook
    HOOK_VALIDATION_START: RunMoment.Hook
    HOOK_VALIDATION_PROGRESS: RunMoment.Hook
    HOOK_FIELD_NUMBER: _ClassVar[int]
    SPLIT_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    EPOCHS_FIELD_NUMBER: _ClassVar[int]
    NODE_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_PENDING_FIELD_NUMBER: _ClassVar[int]
    CHECKPOINT_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_FIELD_NUMBER: _ClassVar[int]
    EVALUATION_FIELD_NUMBER: _ClassVar[int]
    hook: RunMoment.Hook
    split: Split
    progress: FrameProgress
    epochs: EpochProgress
    node: str
    calibration_pending: bool
    checkpoint: RestoredCheckpoint
    calibration: Calibration
    evaluation: Evaluation
    def __init__(self, hook: _Optional[_Union[RunMoment.Hook, str]] = ..., split: _Optional[_Union[Split, str]] = ..., progress: _Optional[_Union[FrameProgress, _Mapping]] = ..., epochs: _Optional[_Union[EpochProgress, _Mapping]] = ..., node: _Optional[str] = ..., calibration_pending: bool = ..., checkpoint: _Optional[_Union[RestoredCheckpoint, _Mapping]] = ..., calibration: _Optional[_Union[Calibration, _Mapping]] = ..., evaluation: _Optional[_Union[Evaluation, _Mapping]] = ...) -> None: ...

class FrameProgress(_message.Message):
    __slots__ = ("done", "total")
    DONE_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    done: int
    total: int
    def __init__(self, done: _Optional[int] = ..., total: _Optional[int] = ...) -> None: ...

class EpochProgress(_message.Message):
    __slots__ = ("current", "total")
    CURRENT_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    current: int
    total: int
    def __init__(self, current: _Optional[int] = ..., total: _Optional[int] = ...) -> None: ...

class RestoredCheckpoint(_message.Message):
    __slots__ = ("restored", "path", "epoch", "monitor", "score", "reason")
    RESTORED_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    MONITOR_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    restored: bool
    path: str
    epoch: int
    monitor: str
    score: float
    reason: str
    def __init__(self, restored: bool = ..., path: _Optional[str] = ..., epoch: _Optional[int] = ..., monitor: _Optional[str] = ..., score: _Optional[float] = ..., reason: _Optional[str] = ...) -> None: ...

class Calibration(_message.Message):
    __slots__ = ("split", "applicable", "skip", "detail", "frames", "anomalous_frames", "deciders")
    class Skip(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        SKIP_UNSPECIFIED: _ClassVar[Calibration.Skip]
        SKIP_NONE: _ClassVar[Calibration.Skip]
        SKIP_NO_SPLIT: _ClassVar[Calibration.Skip]
        SKIP_INFERENCE_FAILED: _ClassVar[Calibration.Skip]
        SKIP_AMBIGUOUS_MASK: _ClassVar[Calibration.Skip]
        SKIP_SINGLE_CLASS: _ClassVar[Calibration.Skip]
    SKIP_UNSPECIFIED: Calibration.Skip
    SKIP_NONE: Calibration.Skip
    SKIP_NO_SPLIT: Calibration.Skip
    SKIP_INFERENCE_FAILED: Calibration.Skip
    SKIP_AMBIGUOUS_MASK: Calibration.Skip
    SKIP_SINGLE_CLASS: Calibration.Skip
    SPLIT_FIELD_NUMBER: _ClassVar[int]
    APPLICABLE_FIELD_NUMBER: _ClassVar[int]
    SKIP_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    ANOMALOUS_FRAMES_FIELD_NUMBER: _ClassVar[int]
    DECIDERS_FIELD_NUMBER: _ClassVar[int]
    split: Split
    applicable: bool
    skip: Calibration.Skip
    detail: str
    frames: int
    anomalous_frames: int
    deciders: _containers.RepeatedCompositeFieldContainer[CalibratedDecider]
    def __init__(self, split: _Optional[_Union[Split, str]] = ..., applicable: bool = ..., skip: _Optional[_Union[Calibration.Skip, str]] = ..., detail: _Optional[str] = ..., frames: _Optional[int] = ..., anomalous_frames: _Optional[int] = ..., deciders: _Optional[_Iterable[_Union[CalibratedDecider, _Mapping]]] = ...) -> None: ...

class CalibratedDecider(_message.Message):
    __slots__ = ("name", "class_name", "status", "skip", "detail", "thresholds", "metrics", "has_threshold")
    class Status(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATUS_UNSPECIFIED: _ClassVar[CalibratedDecider.Status]
        STATUS_CALIBRATED: _ClassVar[CalibratedDecider.Status]
        STATUS_SKIPPED: _ClassVar[CalibratedDecider.Status]
    STATUS_UNSPECIFIED: CalibratedDecider.Status
    STATUS_CALIBRATED: CalibratedDecider.Status
    STATUS_SKIPPED: CalibratedDecider.Status
    class Skip(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        SKIP_UNSPECIFIED: _ClassVar[CalibratedDecider.Skip]
        SKIP_NONE: _ClassVar[CalibratedDecider.Skip]
        SKIP_NOTHING_WIRED: _ClassVar[CalibratedDecider.Skip]
        SKIP_NO_SCORES: _ClassVar[CalibratedDecider.Skip]
        SKIP_CALIBRATE_FAILED: _ClassVar[CalibratedDecider.Skip]
        SKIP_NO_REPORT: _ClassVar[CalibratedDecider.Skip]
    SKIP_UNSPECIFIED: CalibratedDecider.Skip
    SKIP_NONE: CalibratedDecider.Skip
    SKIP_NOTHING_WIRED: CalibratedDecider.Skip
    SKIP_NO_SCORES: CalibratedDecider.Skip
    SKIP_CALIBRATE_FAILED: CalibratedDecider.Skip
    SKIP_NO_REPORT: CalibratedDecider.Skip
    class Threshold(_message.Message):
        __slots__ = ("before", "after")
        BEFORE_FIELD_NUMBER: _ClassVar[int]
        AFTER_FIELD_NUMBER: _ClassVar[int]
        before: float
        after: float
        def __init__(self, before: _Optional[float] = ..., after: _Optional[float] = ...) -> None: ...
    class ThresholdsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: CalibratedDecider.Threshold
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[CalibratedDecider.Threshold, _Mapping]] = ...) -> None: ...
    class MetricsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    CLASS_NAME_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    SKIP_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    THRESHOLDS_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    HAS_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    name: str
    class_name: str
    status: CalibratedDecider.Status
    skip: CalibratedDecider.Skip
    detail: str
    thresholds: _containers.MessageMap[str, CalibratedDecider.Threshold]
    metrics: _containers.ScalarMap[str, float]
    has_threshold: bool
    def __init__(self, name: _Optional[str] = ..., class_name: _Optional[str] = ..., status: _Optional[_Union[CalibratedDecider.Status, str]] = ..., skip: _Optional[_Union[CalibratedDecider.Skip, str]] = ..., detail: _Optional[str] = ..., thresholds: _Optional[_Mapping[str, CalibratedDecider.Threshold]] = ..., metrics: _Optional[_Mapping[str, float]] = ..., has_threshold: bool = ...) -> None: ...

class Evaluation(_message.Message):
    __slots__ = ("split", "status", "frames", "metrics", "error")
    class Status(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATUS_UNSPECIFIED: _ClassVar[Evaluation.Status]
        STATUS_EVALUATED: _ClassVar[Evaluation.Status]
        STATUS_NO_SPLIT: _ClassVar[Evaluation.Status]
        STATUS_FAILED: _ClassVar[Evaluation.Status]
    STATUS_UNSPECIFIED: Evaluation.Status
    STATUS_EVALUATED: Evaluation.Status
    STATUS_NO_SPLIT: Evaluation.Status
    STATUS_FAILED: Evaluation.Status
    class MetricsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    SPLIT_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    split: Split
    status: Evaluation.Status
    frames: int
    metrics: _containers.ScalarMap[str, float]
    error: str
    def __init__(self, split: _Optional[_Union[Split, str]] = ..., status: _Optional[_Union[Evaluation.Status, str]] = ..., frames: _Optional[int] = ..., metrics: _Optional[_Mapping[str, float]] = ..., error: _Optional[str] = ...) -> None: ...
