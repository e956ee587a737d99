from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional

DESCRIPTOR: _descriptor.FileDescriptor

class AcquireRequest(_message.Message):
    __slots__ = ("session_id", "byte_size")
    SESSION_ID_FIELD_NUMBER: _ClassVar[int]
    BYTE_SIZE_FIELD_NUMBER: _ClassVar[int]
    session_id: str
    byte_size: int
    def __init__(self, session_id: _Optional[str] = ..., byte_size: _Optional[int] = ...) -> None: ...

class AcquireResponse(_message.Message):
    __slots__ = ("name", "byte_size", "path", "inode")
    NAME_FIELD_NUMBER: _ClassVar[int]
    BYTE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    INODE_FIELD_NUMBER: _ClassVar[int]
    name: str
    byte_size: int
    path: str
    inode: int
    def __init__(self, name: _Optional[str] = ..., byte_size: _Optional[int] = ..., path: _Optional[str] = ..., inode: _Optional[int] = ...) -> None: ...
