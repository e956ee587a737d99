"""What a reactor takes of gRPC that is not public: the classes that `grpc.server` is made of, which have no types."""

from __future__ import annotations

from importlib import import_module
from typing import Any

cygrpc: Any = import_module("grpc._cython.cygrpc")
_compression: Any = import_module("grpc._compression")

NO_FLAGS = 0
"""What operations and messages are sent with that ask for nothing special."""


def metadata_of(compression: Any) -> tuple[str, str]:
    """Return the initial metadata by which gRPC is told how to compress the answers of a call."""
    return _compression.compression_algorithm_to_metadata(compression)


def core_of(credentials: Any) -> Any:
    """Return what a core's server takes as credentials."""
    return credentials._credentials
