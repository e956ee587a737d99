"""The config file of applications: read, checked with the code that it names, made of code."""

from swath.serve.schema.building import build
from swath.serve.schema.documents import ApplicationConfig, ServeConfig
from swath.serve.schema.probe import CodeInvalid, Found, probe
from swath.serve.schema.reading import Read, read, read_file
from swath.serve.schema.specs import local_folders, spec

__all__ = [
    "ApplicationConfig",
    "CodeInvalid",
    "Found",
    "Read",
    "ServeConfig",
    "build",
    "local_folders",
    "probe",
    "read",
    "read_file",
    "spec",
]
