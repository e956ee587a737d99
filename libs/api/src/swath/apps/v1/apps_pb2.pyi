from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class PutBundleRequest(_message.Message):
    __slots__ = ("data",)
    DATA_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    def __init__(self, data: _Optional[bytes] = ...) -> None: ...

class PutBundleResponse(_message.Message):
    __slots__ = ("digest", "size", "files")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    digest: str
    size: int
    files: int
    def __init__(self, digest: _Optional[str] = ..., size: _Optional[int] = ..., files: _Optional[int] = ...) -> None: ...

class DeployRequest(_message.Message):
    __slots__ = ("config", "file", "bundles", "wait")
    class BundlesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    BUNDLES_FIELD_NUMBER: _ClassVar[int]
    WAIT_FIELD_NUMBER: _ClassVar[int]
    config: str
    file: str
    bundles: _containers.ScalarMap[str, str]
    wait: bool
    def __init__(self, config: _Optional[str] = ..., file: _Optional[str] = ..., bundles: _Optional[_Mapping[str, str]] = ..., wait: bool = ...) -> None: ...

class DeployResponse(_message.Message):
    __slots__ = ("applications", "notes")
    APPLICATIONS_FIELD_NUMBER: _ClassVar[int]
    NOTES_FIELD_NUMBER: _ClassVar[int]
    applications: _containers.RepeatedCompositeFieldContainer[ApplicationState]
    notes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, applications: _Optional[_Iterable[_Union[ApplicationState, _Mapping]]] = ..., notes: _Optional[_Iterable[str]] = ...) -> None: ...

class StatusRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class StatusResponse(_message.Message):
    __slots__ = ("applications",)
    APPLICATIONS_FIELD_NUMBER: _ClassVar[int]
    applications: _containers.RepeatedCompositeFieldContainer[ApplicationState]
    def __init__(self, applications: _Optional[_Iterable[_Union[ApplicationState, _Mapping]]] = ...) -> None: ...

class ApplicationState(_message.Message):
    __slots__ = ("name", "status", "message", "last_deployed_time_s", "deployments", "owner", "access", "services")
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    LAST_DEPLOYED_TIME_S_FIELD_NUMBER: _ClassVar[int]
    DEPLOYMENTS_FIELD_NUMBER: _ClassVar[int]
    OWNER_FIELD_NUMBER: _ClassVar[int]
    ACCESS_FIELD_NUMBER: _ClassVar[int]
    SERVICES_FIELD_NUMBER: _ClassVar[int]
    name: str
    status: str
    message: str
    last_deployed_time_s: float
    deployments: _containers.RepeatedCompositeFieldContainer[DeploymentState]
    owner: str
    access: str
    services: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, name: _Optional[str] = ..., status: _Optional[str] = ..., message: _Optional[str] = ..., last_deployed_time_s: _Optional[float] = ..., deployments: _Optional[_Iterable[_Union[DeploymentState, _Mapping]]] = ..., owner: _Optional[str] = ..., access: _Optional[str] = ..., services: _Optional[_Iterable[str]] = ...) -> None: ...

class DeploymentState(_message.Message):
    __slots__ = ("name", "status", "status_trigger", "replica_states", "message")
    class ReplicaStatesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    STATUS_TRIGGER_FIELD_NUMBER: _ClassVar[int]
    REPLICA_STATES_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    name: str
    status: str
    status_trigger: str
    replica_states: _containers.ScalarMap[str, int]
    message: str
    def __init__(self, name: _Optional[str] = ..., status: _Optional[str] = ..., status_trigger: _Optional[str] = ..., replica_states: _Optional[_Mapping[str, int]] = ..., message: _Optional[str] = ...) -> None: ...

class GetConfigRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetConfigResponse(_message.Message):
    __slots__ = ("applications",)
    APPLICATIONS_FIELD_NUMBER: _ClassVar[int]
    applications: _containers.RepeatedCompositeFieldContainer[ApplicationConfig]
    def __init__(self, applications: _Optional[_Iterable[_Union[ApplicationConfig, _Mapping]]] = ...) -> None: ...

class ApplicationConfig(_message.Message):
    __slots__ = ("name", "config", "bundle", "revision")
    NAME_FIELD_NUMBER: _ClassVar[int]
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    name: str
    config: str
    bundle: str
    revision: int
    def __init__(self, name: _Optional[str] = ..., config: _Optional[str] = ..., bundle: _Optional[str] = ..., revision: _Optional[int] = ...) -> None: ...

class DeleteRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeleteResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ShutdownRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ShutdownResponse(_message.Message):
    __slots__ = ("applications",)
    APPLICATIONS_FIELD_NUMBER: _ClassVar[int]
    applications: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, applications: _Optional[_Iterable[str]] = ...) -> None: ...
