"""The gRPC front of applications: users' own services at one address, beside what the server says of itself.

services   users' protobuf services, read off their servicer functions
requests   what metadata says of a request: which application, which id
calls      calls of the users' methods, of all four kinds
refusals   how calls end that failed
about      ray.serve.RayServeAPIService, and health by the standard protocol
metrics    figures of applications
logs       log lines of calls in a user's own program
server     a server of all that
"""

from swath.serve.front.logs import log_by_the_standard_library
from swath.serve.front.server import Front, FrontOptions, serve
from swath.serve.front.services import Service, read_services

__all__ = ["Front", "FrontOptions", "Service", "log_by_the_standard_library", "read_services", "serve"]
