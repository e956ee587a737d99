from swath.models.v1 import models_pb2 as _models_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class WatchModelsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class WatchModelsResponse(_message.Message):
    __slots__ = ("complete", "models", "removed")
    COMPLETE_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    complete: bool
    models: _containers.RepeatedCompositeFieldContainer[_models_pb2.Model]
    removed: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, complete: bool = ..., models: _Optional[_Iterable[_Union[_models_pb2.Model, _Mapping]]] = ..., removed: _Optional[_Iterable[str]] = ...) -> None: ...

class ReportStatesRequest(_message.Message):
    __slots__ = ("replica", "states", "for_s")
    REPLICA_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    FOR_S_FIELD_NUMBER: _ClassVar[int]
    replica: str
    states: _containers.RepeatedCompositeFieldContainer[_models_pb2.ReplicaState]
    for_s: float
    def __init__(self, replica: _Optional[str] = ..., states: _Optional[_Iterable[_Union[_models_pb2.ReplicaState, _Mapping]]] = ..., for_s: _Optional[float] = ...) -> None: ...

class ReportStatesResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ReadReferencesRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ReadReferencesResponse(_message.Message):
    __slots__ = ("digests",)
    DIGESTS_FIELD_NUMBER: _ClassVar[int]
    digests: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, digests: _Optional[_Iterable[str]] = ...) -> None: ...
