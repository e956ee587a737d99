"""Configuration calls of cuvis_ai.v1, translated."""

from __future__ import annotations

from typing import Any

from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath_config.service import ConfigService


class ConfigServicer:
    """The methods of CuvisAIService that the config service owns."""

    def __init__(self, service: ConfigService) -> None:
        self._service = service

    async def ResolveConfig(self, request: pb.ResolveConfigRequest, context: Any) -> pb.ResolveConfigResponse:
        resolved = await self._service.resolve(request.session_id, request.config_type, request.path, request.overrides)
        return pb.ResolveConfigResponse(config_bytes=resolved)

    async def GetParameterSchema(
        self, request: pb.GetParameterSchemaRequest, context: Any
    ) -> pb.GetParameterSchemaResponse:
        return pb.GetParameterSchemaResponse(json_schema=self._service.schema(request.config_type))

    async def ValidateConfig(self, request: pb.ValidateConfigRequest, context: Any) -> pb.ValidateConfigResponse:
        validity = await self._service.validate(request.config_type, request.config_bytes)
        return pb.ValidateConfigResponse(valid=validity.valid, errors=validity.errors, warnings=validity.warnings)
