"""Makes a config file of applications in code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from swath.documents import dump_yaml
from swath.errors import ConfigInvalid, InvalidInput
from swath.serve.application import import_application, nodes
from swath.serve.config import UNUSED, gRPCOptions
from swath.serve.exceptions import RayServeException
from swath.serve.front.services import read_services

_HEAD = """\
# Applications as they are in the code, made by `swath app build`. What is changed here counts more than the code; what
# is left out stays as the code has it.

"""


def build(import_paths: Sequence[str], servicer_functions: Sequence[str] = ()) -> str:
    """Return a config file of applications, with the options that their code gives to deployments.

    Args:
        import_paths: `module:attribute` each; they get the names app1, app2, ...
        servicer_functions: Import paths of the functions that add their services to a server.

    Raises:
        ConfigInvalid: One does not resolve, or is none. The message says which, and the nearest right one.
    """
    try:
        read_services(servicer_functions)
    except InvalidInput as error:
        raise ConfigInvalid(error.message) from error
    single = len(import_paths) == 1
    applications = [
        _application(import_path, f"app{number}", "/" if single else f"/app{number}")
        for number, import_path in enumerate(import_paths, 1)
    ]
    options: dict[str, Any] = {
        "port": gRPCOptions().port,
        "grpc_servicer_functions": list(servicer_functions),
    }
    return _HEAD + dump_yaml({"grpc_options": options, "applications": applications})


def _application(import_path: str, name: str, route_prefix: str) -> dict[str, Any]:
    try:
        found = nodes(import_application(import_path), name)
    except (RayServeException, ValueError, TypeError) as error:
        raise ConfigInvalid(str(error)) from error
    deployments = [
        {"name": node.name, **node.options.model_dump(mode="json", exclude_unset=True, exclude=set(UNUSED))}
        for node in found
    ]
    return {
        "name": name,
        "route_prefix": route_prefix,
        "import_path": import_path,
        "runtime_env": {},
        "deployments": deployments,
    }
