"""Applications that users define: deployments in processes of their own, called over gRPC and by one another.

`from swath import serve` in place of `from ray import serve`: the names, options and defaults are Ray Serve's. The
docstrings say where it differs.
"""

from swath.serve import config, exceptions, grpc_util, handle
from swath.serve.batching import batch
from swath.serve.context import ReplicaContext, get_multiplexed_model_id, get_replica_context
from swath.serve.deployment import Application, Deployment, deployment, ingress
from swath.serve.host import (
    address,
    delete,
    get_app_handle,
    get_deployment_handle,
    run,
    shutdown,
    start,
    status,
)
from swath.serve.multiplex import multiplexed
from swath.serve.published import model

__all__ = [
    "Application",
    "Deployment",
    "ReplicaContext",
    "address",
    "batch",
    "config",
    "delete",
    "deployment",
    "exceptions",
    "get_app_handle",
    "get_deployment_handle",
    "get_multiplexed_model_id",
    "get_replica_context",
    "grpc_util",
    "handle",
    "ingress",
    "model",
    "multiplexed",
    "run",
    "shutdown",
    "start",
    "status",
]
