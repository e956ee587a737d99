"""Asks a process of its own what an import path deploys: code of users is never imported by the host."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from swath.serve.config import DeploymentOptions
from swath.serve.controller.specs import ApplicationSpec, DeploymentSpec
from swath.serve.exceptions import RayServeException
from swath.serve.launch.port import Environment, Launcher
from swath.serve.replica.definition import Definition

_IMPORT_S = 120.0


def environment_of(spec: ApplicationSpec, servicer_functions: Sequence[str]) -> Environment:
    """Return what the processes of an application's replicas find."""
    modules = [_module(path) for path in (*servicer_functions, *spec.servicer_functions)]
    if spec.import_path:
        modules.append(_module(spec.import_path))
    preload = tuple(dict.fromkeys((*modules, *spec.preload)))
    return Environment(spec.folders, preload, tuple(sorted(spec.variables.items())), spec.image, spec.bundle)


def _module(import_path: str) -> str:
    return import_path.partition(":")[0] if ":" in import_path else import_path.rpartition(".")[0]


async def described(
    spec: ApplicationSpec, launcher: Launcher, servicer_functions: Sequence[str]
) -> list[DeploymentSpec]:
    """Return the deployments of an application that is imported, the one that clients reach last.

    Raises:
        RayServeException: Importing or building it failed, or took too long.
    """
    process = await launcher.start(environment_of(spec, servicer_functions))
    try:
        channel = await process.channel(lambda call: None, lambda event: None, lambda: None)
        definition = Definition(spec.name, "", b"", spec.import_path, spec.args, spec.code_version)
        call = channel.open(("describe", definition.encoded(), list(spec.folders)))
        try:
            async with asyncio.timeout(_IMPORT_S):
                await call.receive()
        except TimeoutError:
            raise RayServeException(
                f"import path {spec.import_path!r}: importing took more than {_IMPORT_S:g} s"
            ) from None
        if call.end is None:
            how = await process.ended()
            raise RayServeException(f"import path {spec.import_path!r}: the process that imported it {how}")
        good, text, _, found = call.end[0]
        if not good:
            raise RayServeException(text)
        channel.close()
    finally:
        process.kill()
    return [DeploymentSpec(name, DeploymentOptions(**options), config) for name, options, config in found]
