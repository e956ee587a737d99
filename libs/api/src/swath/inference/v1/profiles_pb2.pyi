from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ReadProfilesRequest(_message.Message):
    __slots__ = ("session_id", "generation")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    generation: int
    def __init__(self, session_id: _Optional[str] = ..., generation: _Optional[int] = ...) -> None: ...

class ReadProfilesResponse(_message.Message):
    __slots__ = ("series", "replica")
    SERIES_FIELD_NUMBER: _ClassVar[int]
    REPLICA_FIELD_NUMBER: _ClassVar[int]
    series: _containers.RepeatedCompositeFieldContainer[NodeSeries]
    replica: str
    def __init__(self, series: _Optional[_Iterable[_Union[NodeSeries, _Mapping]]] = ..., replica: _Optional[str] = ...) -> None: ...

class NodeSeries(_message.Message):
    __slots__ = ("node", "stage", "count", "mean", "squares", "minimum", "maximum", "total", "last", "last_at", "recent")
    NODE_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    MEAN_FIELD_NUMBER: _ClassVar[int]
    SQUARES_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_FIELD_NUMBER: _ClassVar[int]
    MAXIMUM_FIELD_NUMBER: _ClassVar[int]
    TOTAL_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    LAST_AT_FIELD_NUMBER: _ClassVar[int]
    RECENT_FIELD_NUMBER: _ClassVar[int]
    node: str
    stage: str
    count: int
    mean: float
    squares: float
    minimum: float
    maximum: float
    total: float
    last: float
    last_at: float
    recent: _containers.RepeatedScalarFieldContainer[float]
    def __init__(self, node: _Optional[str] = ..., stage: _Optional[str] = ..., count: _Optional[int] = ..., mean: _Optional[float] = ..., squares: _Optional[float] = ..., minimum: _Optional[float] = ..., maximum: _Optional[float] = ..., total: _Optional[float] = ..., last: _Optional[float] = ..., last_at: _Optional[float] = ..., recent: _Optional[_Iterable[float]] = ...) -> None: ...
