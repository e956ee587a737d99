"""What the client raises.

ClientError
├── LocalError                 something on this side: a file, a format, an array
│   ├── CodecError               an array that the wire has no place for, or a tensor whose bytes do not fit its shape
│   ├── SceneError               a scene file that cannot be read or written
│   ├── MissingPackageError      an optional package that this needs is not installed
│   └── TransferError            an upload or download that did not arrive as it was sent
└── CallError                  the server's answer: status code, reason, message
    ├── InvalidArgumentError     INVALID_ARGUMENT
    ├── NotFoundError            NOT_FOUND
    ├── AlreadyExistsError       ALREADY_EXISTS
    ├── PreconditionError        FAILED_PRECONDITION
    ├── PermissionDeniedError    PERMISSION_DENIED
    ├── UnauthenticatedError     UNAUTHENTICATED
    ├── ExhaustedError           RESOURCE_EXHAUSTED
    │   └── MessageTooLargeError   a request or an answer that is larger than one of the sides takes
    ├── ConflictError            ABORTED
    ├── UnavailableError         UNAVAILABLE
    ├── DeadlineError            DEADLINE_EXCEEDED
    ├── CancelledError           CANCELLED
    └── UnsupportedError         UNIMPLEMENTED

Codes without a class of their own (INTERNAL, UNKNOWN, ...) come as plain CallError.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import grpc
from google.rpc import error_details_pb2

from swath.rpc.proxies import is_local, proxy_of
from swath.rpc.status import DETAILS_KEY, read_details

_CUT = frozenset({"INTERNAL", "UNKNOWN", "CANCELLED"})
"""Codes of a stream that a proxy resets, for instance because the server behind it has died."""
_CUT_WORDS = ("RST_STREAM", "Internal error from Core")
"""gRPC's own words for that: of a stream that was reset, and of an asyncio call whose message found the connection gone
before the call's status arrived (it then invents INTERNAL)."""
_ON_THE_WAY = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "UNKNOWN", "INTERNAL"})
"""Codes of what happens between client and server."""
_HEADER_TOO_LONG = "GOAWAY received; Error code: 9"
"""What gRPC says where an HTTP/2 proxy cannot decompress a header (COMPRESSION_ERROR of RFC 9113); where the connection
is gone before that is read, all it says is that it is closed."""
_LONGEST_ENTRY = 64 * 1024
_GONE = re.compile("socket closed|connection reset|broken pipe", re.IGNORECASE)
_REFUSED = re.compile(r"connect|refused|no address|dns|resolve|unreachable|handshak", re.IGNORECASE)

_MIB = 1 << 20
_TOO_LARGE = re.compile(r"(?:(CLIENT|SERVER): )?(Sent|Received) message larger than max \((\d+) vs\. (\d+)\)")
"""gRPC's own words for a message above the limit of one side."""


class ClientError(Exception):
    """Anything that goes wrong in a client for a reason that it can name."""


class LocalError(ClientError):
    """Something on this side of the wire."""


class CodecError(LocalError, ValueError):
    """An array that has no form on the wire, or a tensor whose bytes do not fit its shape."""


class SceneError(LocalError):
    """A scene file that cannot be read or written."""


class MissingPackageError(LocalError):
    """An optional package is not installed; the message says how to install it."""


class TransferError(LocalError):
    """A file did not arrive as it was sent."""


class CallError(ClientError):
    """A call that the server, or the way to it, refused.

    Attributes:
        code: gRPC status name, such as ``NOT_FOUND``.
        reason: Machine-readable reason from google.rpc.ErrorInfo, such as ``SESSION_NOT_FOUND``; the code where none
        came.
        message: The server's sentence.
        metadata: Facts from ErrorInfo, such as node and port.
        retry_after_s: Seconds after which the same call may succeed, where the server names them.
        method: Name of the RPC.
        answered: Whether the server itself said so, in google.rpc details. Otherwise gRPC did, or a proxy, and the
            server may still be at work on the call.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        retry_after_s: float | None = None,
        method: str = "",
        answered: bool = False,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason or code
        self.message = message
        self.metadata = dict(metadata or {})
        self.retry_after_s = retry_after_s
        self.method = method
        self.answered = answered

    def __str__(self) -> str:
        where = f"{self.method}: " if self.method else ""
        return f"{where}{self.message} [{self.reason}]"


class InvalidArgumentError(CallError):
    """The request itself is wrong."""


class NotFoundError(CallError):
    """A session, config, file or run does not exist."""


class AlreadyExistsError(CallError):
    """It exists already."""


class PreconditionError(CallError):
    """Not in this state of the session."""


class PermissionDeniedError(CallError):
    """Not allowed, a path outside the allowed roots for one."""


class UnauthenticatedError(CallError):
    """No identity, or one that the server does not accept."""


class ExhaustedError(CallError):
    """A limit was met: message size, queue, memory."""


class MessageTooLargeError(ExhaustedError):
    """A request or an answer is larger than one of the sides takes; `Session.infer_cube` sends in pieces."""


class ConflictError(CallError):
    """Somebody else wrote first; repeat the request."""


class UnavailableError(CallError):
    """The server cannot be reached, or is on its way down."""


class DeadlineError(CallError):
    """The answer did not come in time."""


class CancelledError(CallError):
    """The call was cancelled."""


class UnsupportedError(CallError):
    """The server does not have this method or feature."""


_CLASSES: dict[str, type[CallError]] = {
    "INVALID_ARGUMENT": InvalidArgumentError,
    "OUT_OF_RANGE": InvalidArgumentError,
    "NOT_FOUND": NotFoundError,
    "ALREADY_EXISTS": AlreadyExistsError,
    "FAILED_PRECONDITION": PreconditionError,
    "PERMISSION_DENIED": PermissionDeniedError,
    "UNAUTHENTICATED": UnauthenticatedError,
    "RESOURCE_EXHAUSTED": ExhaustedError,
    "ABORTED": ConflictError,
    "UNAVAILABLE": UnavailableError,
    "DEADLINE_EXCEEDED": DeadlineError,
    "CANCELLED": CancelledError,
    "UNIMPLEMENTED": UnsupportedError,
}


def call_error(error: Any, *, method: str = "", target: str = "", longest: int = 0) -> CallError:
    """Translate a `grpc.RpcError` (blocking or asyncio) into one of ours.

    Args:
        error: What the call raised.
        method: Name of the RPC, for the message.
        target: Where the server was looked for, for the message when nothing answers there.
        longest: Bytes of the longest entry of the metadata that this client has sent.
    """
    code = error.code().name
    message = error.details() or code.replace("_", " ").lower()
    info, retry_after_s = _details(trailers(error))
    if code in _CUT and not info.reason and any(words in message for words in _CUT_WORDS):
        code, message = "UNAVAILABLE", f"the stream was cut on its way ({message})"
    elif code == "RESOURCE_EXHAUSTED" and not info.reason and "metadata size" in message:
        message = (
            "the metadata (token, headers) is larger than the other side takes, which SWATH_MAX_METADATA_BYTES of the "
            f"server sets, and for answers max_metadata_bytes of this client ({message.partition(';')[0]})"
        )
    elif (
        code == "UNAVAILABLE"
        and not info.reason
        and (_HEADER_TOO_LONG in message or (longest > _LONGEST_ENTRY and _GONE.search(message)))
    ):
        code, message = (
            "RESOURCE_EXHAUSTED",
            (
                "a gateway has closed the connection, as it does where one entry of the metadata (token, header) is "
                f"longer than it can read: 64 KiB, whatever SWATH_MAX_METADATA_BYTES says ({message})"
            ),
        )
    elif code == "UNAVAILABLE" and not info.reason and _REFUSED.search(message):
        message = f"no server answers at {target or 'the target'} ({_last_cause(message)})"
    elif (size := _TOO_LARGE.search(message)) is not None:
        return MessageTooLargeError(code, _too_large(size), method=method)
    if code in _ON_THE_WAY and not info.reason and target and not is_local(target) and (proxy := proxy_of(target)):
        message += f"; the call went through the proxy {proxy.address}, which the variable {proxy.variable} names"
    return _CLASSES.get(code, CallError)(
        code,
        message,
        reason=info.reason,
        metadata=info.metadata,
        retry_after_s=retry_after_s,
        method=method,
        answered=bool(info.reason),
    )


def frame_error(code: int, reason: str, message: str, retry_after_s: float | None) -> CallError:
    """The error of one frame of a stream.

    Args:
        code: Number of a gRPC status.
        reason, message, retry_after_s: As of `CallError`.
    """
    name = next((each.name for each in grpc.StatusCode if each.value[0] == code), "UNKNOWN")
    return _CLASSES.get(name, CallError)(
        name, message, reason=reason, retry_after_s=retry_after_s, method="StreamInfer", answered=True
    )


@contextmanager
def translated(method: str = "", target: str = "", longest: Callable[[], int] = lambda: 0) -> Iterator[None]:
    """Raise our errors for those of grpc within the block; arguments as of `call_error`."""
    try:
        yield
    except grpc.RpcError as error:
        raise call_error(error, method=method, target=target, longest=longest()) from None


def trailers(error: Any) -> dict[str, str | bytes]:
    """Trailing metadata of a failed call as a dict, empty where none came."""
    return {str(key): value for key, value in (error.trailing_metadata() or ())}


def _details(trailing: Mapping[str, str | bytes]) -> tuple[error_details_pb2.ErrorInfo, float | None]:
    serialized = trailing.get(DETAILS_KEY)
    return read_details(serialized) if isinstance(serialized, bytes) else (error_details_pb2.ErrorInfo(), None)


def _too_large(found: re.Match[str]) -> str:
    """Say which message of a call was too large for which side, and which setting changes that."""
    side, verb, size, limit = found.groups()
    request = (side == "SERVER") == (verb == "Received")
    what = f"the {'request' if request else 'answer'} has {int(size) / _MIB:.1f} MiB"
    if side == "SERVER":
        setting = "the server takes: raise SWATH_MAX_MESSAGE_BYTES there"
    else:
        setting = (
            "this client takes: raise --max-message-mb (in Python: max_message_bytes of ClientConfig); the server has "
            "a limit of its own, SWATH_MAX_MESSAGE_BYTES"
        )
    less = "send the cube in pieces (Session.infer_cube)" if request else "ask for fewer outputs"
    return f"{what}, more than the {int(limit) / _MIB:.1f} MiB that {setting}; or {less} ({found[0]})"


def _last_cause(message: str) -> str:
    """The innermost cause of gRPC's chained connection errors, which is the part that a person can use."""
    if "refused" in message.lower():
        return "connection refused"
    cause = message.rsplit("last error:", 1)[-1].strip(" ;")
    return re.sub(r"^[A-Z_]+: ", "", cause)
