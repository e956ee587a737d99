"""An application of a config file as what the controller deploys."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from swath.serve.controller.specs import ApplicationSpec
from swath.serve.schema.documents import ApplicationConfig


def spec(
    application: ApplicationConfig,
    *,
    servicer_functions: Sequence[str] = (),
    folders: Sequence[Path] = (),
    code_version: str = "",
) -> ApplicationSpec:
    """Return what to deploy of an application.

    Args:
        application: The part of a config file that is about it.
        servicer_functions: Import paths of the functions that add its services to a server.
        folders: With its code.
        code_version: Digest of that code.
    """
    environment = application.runtime_env
    # What has an effect on all its processes makes new ones, as other code does.
    facts = [code_version, application.import_path, application.args, environment.env_vars]
    version = json.dumps([*facts, environment.image] if environment.image else facts, sort_keys=True)
    return ApplicationSpec(
        name=application.name,
        import_path=application.import_path,
        args=application.args or None,
        overrides={each.name: each.given for each in application.deployments},
        folders=tuple(str(folder) for folder in folders),
        variables=environment.env_vars,
        servicer_functions=tuple(servicer_functions),
        code_version=version,
        image=environment.image,
        bundle=code_version,
        route_prefix=application.route_prefix,
    )


def local_folders(application: ApplicationConfig, base: Path) -> list[Path]:
    """Return the folders of this machine that `runtime_env` says the code is in.

    Args:
        application: The part of a config file that is about it.
        base: Folder that paths are relative to.
    """
    environment = application.runtime_env
    named = [environment.working_dir, *environment.py_modules]
    return [(base / each.removeprefix("local://")).resolve() for each in named if each]
