"""Configuration calls of cuvis_ai.v1, translated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath_config.service import ConfigService

if TYPE_CHECKING:  # the processes that compose import this package and need no grpc
    from swath.sessions.model import Sessions


class ConfigServicer:
    """The methods of CuvisAIService that the config service owns."""

    def __init__(self, service: ConfigService, sessions: Sessions) -> None:
        self._service = service
        self._sessions = sessions

    async def ResolveConfig(self, request: pb.ResolveConfigRequest, context: Any) -> pb.ResolveConfigResponse:
        session = await self._sessions.get(request.session_id)
        resolved = await self._service.resolve(
            session.search_paths, request.config_type, request.path, request.overrides
        )
        return pb.ResolveConfigResponse(config_bytes=resolved)

    async def GetParameterSchema(
        self, request: pb.GetParameterSchemaRequest, context: Any
    ) -> pb.GetParameterSchemaResponse:
        return pb.GetParameterSchemaResponse(json_schema=self._service.schema(request.config_type))

    async def ValidateConfig(self, request: pb.ValidateConfigRequest, context: Any) -> pb.ValidateConfigResponse:
        validity = await self._service.validate(request.config_type, request.config_bytes)
        return pb.ValidateConfigResponse(valid=validity.valid, errors=validity.errors, warnings=validity.warnings)
