"""HTTP proxies that the environment names: which calls gRPC would send through one, and how to have it not do so."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from typing import NamedTuple

from swath.rpc.addresses import parse_address

NO_PROXY = ("grpc.enable_http_proxy", 0)
"""Option of a channel that uses no proxy, whatever the environment says: those within a suite, those of one machine."""

_VARIABLES = ("grpc_proxy", "https_proxy", "http_proxy")
_EXCEPT = ("no_grpc_proxy", "no_proxy")


class Proxy(NamedTuple):
    """A proxy, and what names it.

    Attributes:
        address: HOST:PORT, without the user and the password that its URL may hold.
        variable: The environment variable.
    """

    address: str
    variable: str


def is_local(target: str) -> bool:
    """Whether a gRPC target is on this machine: a loopback address or a Unix socket."""
    try:
        return all(parse_address(each).loopback for each in _bare(target).split(","))
    except ValueError:
        return False


def proxy_of(target: str, environ: Mapping[str, str] = os.environ) -> Proxy | None:
    """Return the proxy through which gRPC reaches a target, by its own rules; None where it reaches it itself.

    Source: https://grpc.github.io/grpc/core/md_doc_environment_variables.html

    Args:
        target: As a channel takes it.
        environ: The variables.
    """
    if target.startswith(("unix:", "unix-abstract:")):
        return None
    variable = next((name for name in _VARIABLES if environ.get(name)), None)
    if variable is None:
        return None
    host = _bare(target).rpartition(":")[0].strip("[]") or _bare(target)
    excepted = next((environ[name] for name in _EXCEPT if environ.get(name)), "")
    if any(_fits(host, each.strip()) for each in excepted.split(",") if each.strip()):
        return None
    return Proxy(environ[variable].partition("://")[2].rpartition("@")[2].strip("/") or environ[variable], variable)


def _bare(target: str) -> str:
    """Return a target without its scheme."""
    for scheme in ("dns:", "ipv4:", "ipv6:"):
        if target.startswith(scheme):
            return target.removeprefix(scheme).rpartition("/")[2]
    return target


def _fits(host: str, exception: str) -> bool:
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(exception, strict=False)
    except ValueError:
        return host.lower().endswith(exception.lower())
