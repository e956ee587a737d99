"""Options of deployments and of the host, by Ray Serve's names and defaults.

An option that Ray has and that means nothing here is taken and said to be unused.
"""

from swath.serve.config.base import LOOPBACK, nearest, said
from swath.serve.config.deployments import UNUSED, DeploymentOptions
from swath.serve.config.hosting import HTTPOptions, gRPCOptions
from swath.serve.config.scaling import AUTO, AutoscalingConfig

__all__ = [
    "AUTO",
    "LOOPBACK",
    "UNUSED",
    "AutoscalingConfig",
    "DeploymentOptions",
    "HTTPOptions",
    "gRPCOptions",
    "nearest",
    "said",
]
