"""How a Swath service runs: settings, server, interceptors, health, reflection. No business logic, no torch."""

from swath.service.guards import pipeline_of, require_idle
from swath.service.health import HealthBoard
from swath.service.interceptors import CallInterceptor
from swath.service.logs import configure_logs
from swath.service.ports import Profiling, Session, Sessions
from swath.service.server import Server, server_options
from swath.service.settings import ServerSettings
from swath.service.slices import FallbackHandler, slice_handler, whole_handler

__all__ = [
    "CallInterceptor",
    "FallbackHandler",
    "HealthBoard",
    "Profiling",
    "Server",
    "ServerSettings",
    "Session",
    "Sessions",
    "configure_logs",
    "pipeline_of",
    "require_idle",
    "server_options",
    "slice_handler",
    "whole_handler",
]
