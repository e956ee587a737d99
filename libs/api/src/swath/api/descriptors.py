"""Importing this makes protobuf know every service that clients may call, for whoever looks one up by its name."""

from __future__ import annotations

import importlib

from swath.api.registry import REGISTRY

for _each in REGISTRY.grpc_services:
    if _each.public:
        importlib.import_module(_each.module)
