"""Applications that users define, deployed on a server. Their own services are called by their own stubs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import grpc

from swath.apps.v1 import apps_pb2 as pb
from swath.apps.v1.apps_pb2_grpc import ApplicationServiceStub
from swath.client.config import MIB, ClientConfig
from swath.client.errors import translated


class Applications:
    """The deployed applications of a server.

    Args:
        channel: To the server.
        config: Of the client.
    """

    def __init__(self, channel: grpc.Channel, config: ClientConfig) -> None:
        self._stub = ApplicationServiceStub(channel)
        self._config = config

    def put_bundle(self, data: bytes) -> pb.PutBundleResponse:
        """Store a bundle of code, as `swath.serve.bundles.pack` makes one; nothing runs of it yet.

        Raises:
            InvalidArgumentError, PermissionDeniedError: It is no bundle.
        """
        return self._call("PutBundle", _pieces(data))

    def deploy(
        self, config: str, *, file: str = "config", bundles: Mapping[str, str] | None = None, wait: bool = True
    ) -> Iterator[pb.DeployResponse]:
        """Deploy the applications of a config file in place of all those that you have there.

        Args:
            config: The file, YAML or JSON.
            file: Its name, for messages.
            bundles: Digests of their code by the applications' names; "" is that of all others.
            wait: Whether to go on until each of them runs, or has failed.

        Yields:
            The acknowledgement, from which on they outlive every process; then each change of a state.

        Raises:
            InvalidArgumentError: Something is wrong with it. Nothing was changed.
        """
        request = pb.DeployRequest(config=config, file=file, bundles=bundles or {}, wait=wait)
        with translated("Deploy", self._config.target, self._config.longest_entry):
            answers: Any = self._stub.Deploy(request, metadata=self._config.call_metadata())
            try:
                yield from answers
            finally:
                answers.cancel()

    def status(self, name: str = "") -> list[pb.ApplicationState]:
        """The applications that you may call or own, in order of deployment; with a name that one.

        Raises:
            NotFoundError: There is none of that name.
        """
        return list(self._call("Status", pb.StatusRequest(name=name)).applications)

    def configs(self, name: str = "") -> list[pb.ApplicationConfig]:
        """What each of your applications was last deployed with; with a name that one.

        Raises:
            NotFoundError: There is none of that name.
        """
        return list(self._call("GetConfig", pb.GetConfigRequest(name=name)).applications)

    def delete(self, name: str) -> None:
        """Delete one of your applications: its running calls are answered, later ones are refused.

        Raises:
            NotFoundError: There is none of that name.
        """
        self._call("Delete", pb.DeleteRequest(name=name))

    def shutdown(self) -> list[str]:
        """Delete all of your applications; return their names."""
        return list(self._call("Shutdown", pb.ShutdownRequest()).applications)

    def _call(self, method: str, request: Any) -> Any:
        with translated(method, self._config.target, self._config.longest_entry):
            return getattr(self._stub, method)(request, metadata=self._config.call_metadata())


class AsyncApplications:
    """As `Applications`, for `AsyncClient`: each method is to be awaited, and `deploy` to be iterated over.

    Args:
        channel: To the server.
        config: Of the client.
    """

    def __init__(self, channel: grpc.aio.Channel, config: ClientConfig) -> None:
        any_channel: Any = channel
        self._stub: Any = ApplicationServiceStub(any_channel)
        self._config = config

    async def put_bundle(self, data: bytes) -> pb.PutBundleResponse:
        """As `Applications.put_bundle`."""
        return await self._call("PutBundle", _pieces(data))

    async def deploy(
        self, config: str, *, file: str = "config", bundles: Mapping[str, str] | None = None, wait: bool = True
    ) -> AsyncIterator[pb.DeployResponse]:
        """As `Applications.deploy`."""
        request = pb.DeployRequest(config=config, file=file, bundles=bundles or {}, wait=wait)
        with translated("Deploy", self._config.target, self._config.longest_entry):
            answers = self._stub.Deploy(request, metadata=self._config.call_metadata())
            try:
                async for each in answers:
                    yield each
            finally:
                answers.cancel()

    async def status(self, name: str = "") -> list[pb.ApplicationState]:
        """As `Applications.status`."""
        return list((await self._call("Status", pb.StatusRequest(name=name))).applications)

    async def configs(self, name: str = "") -> list[pb.ApplicationConfig]:
        """As `Applications.configs`."""
        return list((await self._call("GetConfig", pb.GetConfigRequest(name=name))).applications)

    async def delete(self, name: str) -> None:
        """As `Applications.delete`."""
        await self._call("Delete", pb.DeleteRequest(name=name))

    async def shutdown(self) -> list[str]:
        """As `Applications.shutdown`."""
        return list((await self._call("Shutdown", pb.ShutdownRequest())).applications)

    async def _call(self, method: str, request: Any) -> Any:
        with translated(method, self._config.target, self._config.longest_entry):
            return await getattr(self._stub, method)(request, metadata=self._config.call_metadata())


def _pieces(data: bytes) -> Iterator[pb.PutBundleRequest]:
    return (pb.PutBundleRequest(data=data[at : at + MIB]) for at in range(0, len(data), MIB))
