"""Calls of swath.apps.v1, translated."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

from swath.apps.v1 import apps_pb2
from swath_apps.deployed.rows import Application
from swath_apps.running.hosting import State
from swath_apps.service import AppsService


class AppsServicer:
    """The methods of ApplicationService.

    Args:
        service: Decides.
    """

    def __init__(self, service: AppsService) -> None:
        self._service = service

    async def PutBundle(
        self, requests: AsyncIterator[apps_pb2.PutBundleRequest], context: Any
    ) -> apps_pb2.PutBundleResponse:
        stored = await self._service.put_bundle(each.data async for each in requests)
        return apps_pb2.PutBundleResponse(digest=stored.digest, size=stored.size, files=stored.files)

    async def Deploy(
        self, request: apps_pb2.DeployRequest, context: Any
    ) -> AsyncGenerator[apps_pb2.DeployResponse, None]:
        told = self._service.deploy(request.config, request.file, dict(request.bundles), wait=request.wait)
        async with aclosing(told) as deployments:
            async for applications, notes in deployments:
                yield apps_pb2.DeployResponse(applications=map(_state, applications), notes=notes)

    async def Status(self, request: apps_pb2.StatusRequest, context: Any) -> apps_pb2.StatusResponse:
        return apps_pb2.StatusResponse(applications=map(_state, await self._service.status(request.name)))

    async def GetConfig(self, request: apps_pb2.GetConfigRequest, context: Any) -> apps_pb2.GetConfigResponse:
        return apps_pb2.GetConfigResponse(applications=map(_config, await self._service.configs(request.name)))

    async def Delete(self, request: apps_pb2.DeleteRequest, context: Any) -> apps_pb2.DeleteResponse:
        await self._service.delete(request.name)
        return apps_pb2.DeleteResponse()

    async def Shutdown(self, request: apps_pb2.ShutdownRequest, context: Any) -> apps_pb2.ShutdownResponse:
        return apps_pb2.ShutdownResponse(applications=await self._service.shutdown())


def _state(told: tuple[Application, State]) -> apps_pb2.ApplicationState:
    application, state = told
    return apps_pb2.ApplicationState(
        name=application.name,
        status=state.status,
        message=state.message,
        last_deployed_time_s=application.deployed_at,
        deployments=[
            apps_pb2.DeploymentState(
                name=each.name,
                status=each.status,
                status_trigger=each.status_trigger,
                replica_states=each.replica_states,
                message=each.message,
            )
            for each in state.deployments
        ],
        owner=application.owner,
        access=application.access,
        services=[each["name"] for each in application.found["services"]],
    )


def _config(application: Application) -> apps_pb2.ApplicationConfig:
    return apps_pb2.ApplicationConfig(
        name=application.name,
        config=application.text,
        bundle=application.bundle or "",
        revision=application.revision,
    )
