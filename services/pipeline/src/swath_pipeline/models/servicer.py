"""Calls of swath.models.v1, translated."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from swath.errors import InvalidInput
from swath.models.v1 import catalogue_pb2, models_pb2
from swath.published.messages import change_message, message_of, shares_of, state_message, state_of
from swath.published.names import shown
from swath_pipeline.models.catalogue import ModelCatalogue
from swath_pipeline.models.changes import Wishes
from swath_pipeline.models.service import ModelService

_UPDATED = ("labels", "callers", "editors", "pinned")
_DIGESTS_AT_ONCE = 1000


class ModelServicer:
    """The methods of ModelService.

    Args:
        service: Decides.
    """

    def __init__(self, service: ModelService) -> None:
        self._service = service

    async def Publish(self, request: models_pb2.PublishRequest, context: Any) -> models_pb2.PublishResponse:
        model, version, existed, untried = await self._service.publish(
            request.name,
            request.session_id,
            aliases=request.aliases,
            description=request.description,
            wishes=Wishes(
                labels=dict(request.labels) or None,
                callers=list(request.callers.names) if request.HasField("callers") else None,
                editors=list(request.editors.names) if request.HasField("editors") else None,
                pinned=request.pinned if request.HasField("pinned") else None,
            ),
        )
        return models_pb2.PublishResponse(model=message_of(model), version=version, existed=existed, untried=untried)

    async def ListModels(self, request: models_pb2.ListModelsRequest, context: Any) -> models_pb2.ListModelsResponse:
        return models_pb2.ListModelsResponse(models=map(message_of, await self._service.list(request.labels)))

    async def GetModel(self, request: models_pb2.GetModelRequest, context: Any) -> models_pb2.GetModelResponse:
        model, states = await self._service.get(request.name)
        return models_pb2.GetModelResponse(model=message_of(model), states=map(state_message, states))

    async def SetAlias(self, request: models_pb2.SetAliasRequest, context: Any) -> models_pb2.SetAliasResponse:
        revision = request.revision if request.HasField("revision") else None
        model = await self._service.set_alias(request.name, request.alias, shares_of(request.targets), revision)
        return models_pb2.SetAliasResponse(model=message_of(model))

    async def RollBackAlias(
        self, request: models_pb2.RollBackAliasRequest, context: Any
    ) -> models_pb2.RollBackAliasResponse:
        model = await self._service.roll_back_alias(request.name, request.alias)
        return models_pb2.RollBackAliasResponse(model=message_of(model))

    async def RemoveAlias(self, request: models_pb2.RemoveAliasRequest, context: Any) -> models_pb2.RemoveAliasResponse:
        model = await self._service.remove_alias(request.name, request.alias)
        return models_pb2.RemoveAliasResponse(model=message_of(model))

    async def UpdateModel(self, request: models_pb2.UpdateModelRequest, context: Any) -> models_pb2.UpdateModelResponse:
        paths = frozenset(request.mask.paths)
        if not paths or not paths <= {*_UPDATED}:
            got = ", ".join(shown(path) for path in sorted(paths)) or "nothing"
            raise InvalidInput(f"mask: expected some of {', '.join(_UPDATED)}, got {got}")
        given = request.model
        wishes = Wishes(
            labels=dict(given.labels) if "labels" in paths else None,
            callers=list(given.callers) if "callers" in paths else None,
            editors=list(given.editors) if "editors" in paths else None,
            pinned=given.pinned if "pinned" in paths else None,
        )
        return models_pb2.UpdateModelResponse(model=message_of(await self._service.update(given.name, wishes)))

    async def Unpublish(self, request: models_pb2.UnpublishRequest, context: Any) -> models_pb2.UnpublishResponse:
        await self._service.unpublish(request.name, request.version if request.HasField("version") else None)
        return models_pb2.UnpublishResponse()


class ModelCatalogueServicer:
    """The methods of ModelCatalogue.

    Args:
        catalogue: Knows what is published.
    """

    def __init__(self, catalogue: ModelCatalogue) -> None:
        self._catalogue = catalogue

    async def WatchModels(
        self, request: catalogue_pb2.WatchModelsRequest, context: Any
    ) -> AsyncGenerator[catalogue_pb2.WatchModelsResponse, None]:
        async with aclosing(self._catalogue.changes()) as changes:
            async for change in changes:
                yield change_message(change)

    async def ReportStates(
        self, request: catalogue_pb2.ReportStatesRequest, context: Any
    ) -> catalogue_pb2.ReportStatesResponse:
        await self._catalogue.report(request.replica, [state_of(each) for each in request.states], request.for_s)
        return catalogue_pb2.ReportStatesResponse()

    async def ReadReferences(
        self, request: catalogue_pb2.ReadReferencesRequest, context: Any
    ) -> AsyncGenerator[catalogue_pb2.ReadReferencesResponse, None]:
        digests = list(await self._catalogue.references())
        for at in range(0, len(digests), _DIGESTS_AT_ONCE):
            yield catalogue_pb2.ReadReferencesResponse(digests=digests[at : at + _DIGESTS_AT_ONCE])
