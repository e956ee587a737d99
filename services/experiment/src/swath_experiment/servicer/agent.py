"""Methods of the agent and the notebook."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from swath.errors import SwathError
from swath.experiment_service import experiment_service_pb2 as pb
from swath_experiment.servicer.calls import Methods, refused

_NO_AGENT = "Questions in plain language are not answered here: type a query, such as `loss > 0.5 sortby loss desc`."
_NO_KERNEL = "Cells of notebooks run nowhere here: no kernel is switched on."


class AgentMethods(Methods):
    """Methods of the agent and the notebook: there is no agent, and notebooks are kept, not run."""

    async def CheckAgentHealth(self, request: pb.Empty, context: Any) -> pb.AgentHealthResponse:
        """Say that there is none."""
        return pb.AgentHealthResponse(available=False, message=_NO_AGENT)

    async def InitializeAgent(self, request: pb.InitializeAgentRequest, context: Any) -> pb.InitializeAgentResponse:
        """Refuse."""
        return pb.InitializeAgentResponse(success=False, message=_NO_AGENT)

    async def ChangeAgentModel(self, request: pb.ChangeAgentModelRequest, context: Any) -> pb.ChangeAgentModelResponse:
        """Refuse."""
        return pb.ChangeAgentModelResponse(success=False, message=_NO_AGENT)

    async def GetAgentModels(self, request: pb.GetAgentModelsRequest, context: Any) -> pb.GetAgentModelsResponse:
        """Say that there are none."""
        return pb.GetAgentModelsResponse(success=False, message=_NO_AGENT)

    async def ResetAgent(self, request: pb.Empty, context: Any) -> pb.ResetAgentResponse:
        """Refuse."""
        return pb.ResetAgentResponse(success=False, message=_NO_AGENT)

    async def ClearAgentHistory(self, request: pb.Empty, context: Any) -> pb.ClearAgentHistoryResponse:
        """Refuse."""
        return pb.ClearAgentHistoryResponse(success=False, message=_NO_AGENT)

    async def CompactAgentHistory(self, request: pb.Empty, context: Any) -> pb.CompactAgentHistoryResponse:
        """Refuse."""
        return pb.CompactAgentHistoryResponse(success=False, message=_NO_AGENT)

    async def GetAgentContextUsage(self, request: pb.Empty, context: Any) -> pb.GetAgentContextUsageResponse:
        """Refuse."""
        return pb.GetAgentContextUsageResponse(success=False, message=_NO_AGENT)

    async def GenerateNotebookCode(
        self, request: pb.GenerateNotebookCodeRequest, context: Any
    ) -> pb.GenerateNotebookCodeResponse:
        """Refuse."""
        return pb.GenerateNotebookCodeResponse(ok=False, error=_NO_AGENT)

    async def RunNotebookCell(
        self, request: pb.RunNotebookCellRequest, context: Any
    ) -> AsyncIterator[pb.NotebookCellChunk]:
        """Refuse."""
        yield pb.NotebookCellChunk(cell_id=request.cell_id, stderr=_NO_KERNEL)
        yield pb.NotebookCellChunk(cell_id=request.cell_id, done=pb.NotebookCellDone(ok=False))

    async def InterruptNotebookCell(
        self, request: pb.InterruptNotebookCellRequest, context: Any
    ) -> pb.InterruptNotebookCellResponse:
        """Refuse."""
        return pb.InterruptNotebookCellResponse(ok=False, error=_NO_KERNEL)

    async def GetNotebook(self, request: pb.Empty, context: Any) -> pb.NotebookResponse:
        """Return the experiment's notebook."""
        found = await self.services.notebooks.read(await self.experiment(context))
        return pb.NotebookResponse(ipynb_json=found.text, existed=found.existed, path=found.name, name=found.name)

    async def SaveNotebook(self, request: pb.SaveNotebookRequest, context: Any) -> pb.SaveNotebookResponse:
        """Keep the experiment's notebook."""
        try:
            name = await self.services.notebooks.save(await self.experiment(context), request.name, request.ipynb_json)
        except SwathError as error:
            refusal = refused(error, pb.CommandResponse)
            return pb.SaveNotebookResponse(ok=False, error=refusal.message)
        return pb.SaveNotebookResponse(ok=True, path=name, name=name)
