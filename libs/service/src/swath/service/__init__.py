"""How a Swath service runs: settings, server, interceptors, health, reflection. No business logic, no torch."""

from swath.service.channels import channel
from swath.service.guards import pipeline_of, require_idle
from swath.service.handlers import ClosingInterceptor
from swath.service.health import HealthBoard
from swath.service.identity import Caller, acting_as, caller
from swath.service.interceptors import CallInterceptor
from swath.service.logs import configure_logs
from swath.service.ownership import OwnedSessions, everyones
from swath.service.ports import Profiling, Session, Sessions
from swath.service.server import Server, server_options
from swath.service.settings import ConnectionSettings, JwtIssuer, ServerSettings, problems
from swath.service.slices import FallbackHandler, in_bytes, slice_handler, whole_handler

__all__ = [
    "CallInterceptor",
    "Caller",
    "ClosingInterceptor",
    "ConnectionSettings",
    "FallbackHandler",
    "HealthBoard",
    "JwtIssuer",
    "OwnedSessions",
    "Profiling",
    "Server",
    "ServerSettings",
    "Session",
    "Sessions",
    "acting_as",
    "caller",
    "channel",
    "configure_logs",
    "everyones",
    "in_bytes",
    "pipeline_of",
    "problems",
    "require_idle",
    "server_options",
    "slice_handler",
    "whole_handler",
]
