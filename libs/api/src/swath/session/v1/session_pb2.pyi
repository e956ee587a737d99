from google.protobuf import field_mask_pb2 as _field_mask_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Session(_message.Message):
    __slots__ = ("id", "owner", "revision", "search_paths", "pipeline_digest", "weights_digest", "run_config_digest", "plugins", "profiling", "active_run", "created_at", "last_used_at", "ttl_s")
    ID_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    SEARCH_PATHS_FIELD_NUMBER: _ClassVar[int]
    PIPELINE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    WEIGHTS_DIGEST_FIELD_NUMBER: _ClassVar[int]
    RUN_CONFIG_DIGEST_FIELD_NUMBER: _ClassVar[int]
    PLUGINS_FIELD_NUMBER: _ClassVar[int]
    PROFILING_FIELD_NUMBER: _ClassVar[int]
    ACTIVE_RUN_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    LAST_USED_AT_FIELD_NUMBER: _ClassVar[int]
    TTL_S_FIELD_NUMBER: _ClassVar[int]
    id: str
    owner: str
    revision: int
    search_paths: _containers.RepeatedScalarFieldContainer[str]
    pipeline_digest: str
    weights_digest: str
    run_config_digest: str
    plugins: _containers.RepeatedScalarFieldContainer[str]
    profiling: Profiling
    active_run: str
    created_at: float
    last_used_at: float
    ttl_s: float
    def __init__(self, id: _Optional[str] = ..., owner: _Optional[str] = ..., revision: _Optional[int] = ..., search_paths: _Optional[_Iterable[str]] = ..., pipeline_digest: _Optional[str] = ..., weights_digest: _Optional[str] = ..., run_config_digest: _Optional[str] = ..., plugins: _Optional[_Iterable[str]] = ..., profiling: _Optional[_Union[Profiling, _Mapping]] = ..., active_run: _Optional[str] = ..., created_at: _Optional[float] = ..., last_used_at: _Optional[float] = ..., ttl_s: _Optional[float] = ...) -> None: ...

class Profiling(_message.Message):
    __slots__ = ("enabled", "synchronize_device", "skip_first", "generation")
    ENABLED_FIELD_NUMBER: _ClassVar[int]
    SYNCHRONIZE_DEVICE_FIELD_NUMBER: _ClassVar[int]
    SKIP_FIRST_FIELD_NUMBER: _ClassVar[int]
    GENERATION_FIELD_NUMBER: _ClassVar[int]
    enabled: bool
    synchronize_device: bool
    skip_first: int
    generation: int
    def __init__(self, enabled: bool = ..., synchronize_device: bool = ..., skip_first: _Optional[int] = ..., generation: _Optional[int] = ...) -> None: ...

class ReadSessionsRequest(_message.Message):
    __slots__ = ("ids", "use", "holder")
    IDS_FIELD_NUMBER: _ClassVar[int]
    USE_FIELD_NUMBER: _ClassVar[int]
    HOLDER_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedScalarFieldContainer[str]
    use: bool
    holder: str
    def __init__(self, ids: _Optional[_Iterable[str]] = ..., use: bool = ..., holder: _Optional[str] = ...) -> None: ...

class ReadSessionsResponse(_message.Message):
    __slots__ = ("sessions", "leases")
    class LeasesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: float
        def __init__(self, key: _Optional[str] = ..., value: _Optional[float] = ...) -> None: ...
    SESSIONS_FIELD_NUMBER: _ClassVar[int]
    LEASES_FIELD_NUMBER: _ClassVar[int]
    sessions: _containers.RepeatedCompositeFieldContainer[Session]
    leases: _containers.ScalarMap[str, float]
    def __init__(self, sessions: _Optional[_Iterable[_Union[Session, _Mapping]]] = ..., leases: _Optional[_Mapping[str, float]] = ...) -> None: ...

class AddSessionRequest(_message.Message):
    __slots__ = ("owner",)
    OWNER_FIELD_NUMBER: _ClassVar[int]
    owner: str
    def __init__(self, owner: _Optional[str] = ...) -> None: ...

class AddSessionResponse(_message.Message):
    __slots__ = ("session",)
    SESSION_FIELD_NUMBER: _ClassVar[int]
    session: Session
    def __init__(self, session: _Optional[_Union[Session, _Mapping]] = ...) -> None: ...

class UpdateSessionRequest(_message.Message):
    __slots__ = ("id", "revision", "values", "mask")
    ID_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    VALUES_FIELD_NUMBER: _ClassVar[int]
    MASK_FIELD_NUMBER: _ClassVar[int]
    id: str
    revision: int
    values: Session
    mask: _field_mask_pb2.FieldMask
    def __init__(self, id: _Optional[str] = ..., revision: _Optional[int] = ..., values: _Optional[_Union[Session, _Mapping]] = ..., mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ...) -> None: ...

class UpdateSessionResponse(_message.Message):
    __slots__ = ("session",)
    SESSION_FIELD_NUMBER: _ClassVar[int]
    session: Session
    def __init__(self, session: _Optional[_Union[Session, _Mapping]] = ...) -> None: ...

class RemoveSessionRequest(_message.Message):
    __slots__ = ("id",)
    ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    def __init__(self, id: _Optional[str] = ...) -> None: ...

class RemoveSessionResponse(_message.Message):
    __slots__ = ("session",)
    SESSION_FIELD_NUMBER: _ClassVar[int]
    session: Session
    def __init__(self, session: _Optional[_Union[Session, _Mapping]] = ...) -> None: ...

class WatchGoneRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class WatchGoneResponse(_message.Message):
    __slots__ = ("ids",)
    IDS_FIELD_NUMBER: _ClassVar[int]
    ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, ids: _Optional[_Iterable[str]] = ...) -> None: ...

class WatchRecallsRequest(_message.Message):
    __slots__ = ("holder",)
    HOLDER_FIELD_NUMBER: _ClassVar[int]
    holder: str
    def __init__(self, holder: _Optional[str] = ...) -> None: ...

class WatchRecallsResponse(_message.Message):
    __slots__ = ("recalls",)
    RECALLS_FIELD_NUMBER: _ClassVar[int]
    recalls: _containers.RepeatedCompositeFieldContainer[Recall]
    def __init__(self, recalls: _Optional[_Iterable[_Union[Recall, _Mapping]]] = ...) -> None: ...

class Recall(_message.Message):
    __slots__ = ("session_id", "token")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    token: str
    def __init__(self, session_id: _Optional[str] = ..., token: _Optional[str] = ...) -> None: ...

class ReturnLeasesRequest(_message.Message):
    __slots__ = ("holder", "recalls")
    HOLDER_FIELD_NUMBER: _ClassVar[int]
    RECALLS_FIELD_NUMBER: _ClassVar[int]
    holder: str
    recalls: _containers.RepeatedCompositeFieldContainer[Recall]
    def __init__(self, holder: _Optional[str] = ..., recalls: _Optional[_Iterable[_Union[Recall, _Mapping]]] = ...) -> None: ...

class ReturnLeasesResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
