"""Importing this makes protobuf know every service that clients may call, for whoever looks one up by its name."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any

from google.protobuf import descriptor_pool

from swath.api.registry import REGISTRY
from swath.health.v1 import health_pb2

for _each in REGISTRY.grpc_services:
    if _each.public:
        importlib.import_module(_each.module)


def pools() -> Iterator[Any]:
    """Iterate over the descriptor pools that hold what clients may call: those of our own first, then the default one.

    What is in one of our own, other packages may have registered in the default one.
    """
    yield health_pb2.DESCRIPTOR.pool
    for each in REGISTRY.grpc_services:
        if each.public and each.own_pool:
            yield importlib.import_module(each.module).DESCRIPTOR.pool
    yield descriptor_pool.Default()


def find_service(name: str) -> Any:
    """Return the descriptor of a gRPC service by its full name. The proto of a private one must be imported.

    Raises:
        KeyError: No pool has it.
    """
    for pool in pools():
        try:
            return pool.FindServiceByName(name)
        except KeyError:
            continue
    raise KeyError(name)
