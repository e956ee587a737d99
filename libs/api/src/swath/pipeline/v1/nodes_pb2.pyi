from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DescribeNodesRequest(_message.Message):
    __slots__ = ("session_id", "class_names")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    CLASS_NAMES_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    class_names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, session_id: _Optional[str] = ..., class_names: _Optional[_Iterable[str]] = ...) -> None: ...

class DescribeNodesResponse(_message.Message):
    __slots__ = ("nodes",)
    NODES_FIELD_NUMBER: _ClassVar[int]
    nodes: _containers.RepeatedCompositeFieldContainer[NodeDescription]
    def __init__(self, nodes: _Optional[_Iterable[_Union[NodeDescription, _Mapping]]] = ...) -> None: ...

class NodeDescription(_message.Message):
    __slots__ = ("full_path", "summary", "documentation", "hparams", "stages", "fittable", "calibratable", "stateful", "effect", "trainable_buffers")
    FULL_PATH_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    DOCUMENTATION_FIELD_NUMBER: _ClassVar[int]
    HPARAMS_FIELD_NUMBER: _ClassVar[int]
    STAGES_FIELD_NUMBER: _ClassVar[int]
    FITTABLE_FIELD_NUMBER: _ClassVar[int]
    CALIBRATABLE_FIELD_NUMBER: _ClassVar[int]
    STATEFUL_FIELD_NUMBER: _ClassVar[int]
    EFFECT_FIELD_NUMBER: _ClassVar[int]
    TRAINABLE_BUFFERS_FIELD_NUMBER: _ClassVar[int]
    full_path: str
    summary: str
    documentation: str
    hparams: _containers.RepeatedCompositeFieldContainer[Hparam]
    stages: _containers.RepeatedScalarFieldContainer[str]
    fittable: bool
    calibratable: bool
    stateful: bool
    effect: bool
    trainable_buffers: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, full_path: _Optional[str] = ..., summary: _Optional[str] = ..., documentation: _Optional[str] = ..., hparams: _Optional[_Iterable[_Union[Hparam, _Mapping]]] = ..., stages: _Optional[_Iterable[str]] = ..., fittable: bool = ..., calibratable: bool = ..., stateful: bool = ..., effect: bool = ..., trainable_buffers: _Optional[_Iterable[str]] = ...) -> None: ...

class Hparam(_message.Message):
    __slots__ = ("name", "type", "required", "default_json", "description", "choices")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TYPE_FIELD_NUMBER: _ClassVar[int]
    REQUIRED_FIELD_NUMBER: _ClassVar[int]
    DEFAULT_JSON_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    CHOICES_FIELD_NUMBER: _ClassVar[int]
    name: str
    type: str
    required: bool
    default_json: str
    description: str
    choices: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., type: _Optional[str] = ..., required: bool = ..., default_json: _Optional[str] = ..., description: _Optional[str] = ..., choices: _Optional[_Iterable[str]] = ...) -> None: ...
