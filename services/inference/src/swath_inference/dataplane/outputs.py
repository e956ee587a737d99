"""Files that the nodes of loaded pipelines write, and when they appear in the workspace."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import structlog

from swath.errors import SwathError, Unavailable
from swath.retry import retry_while_unavailable
from swath.storage import Workspace
from swath.storage.workspace.outputs import Outputs

if TYPE_CHECKING:
    from swath.engine.graph.pipeline import Pipeline

_PUBLISH_INTERVAL_S = 2.0

_log = structlog.get_logger("swath.inference")


class NodeOutputs:
    """The files of each pipeline, published while it is used and once more when it is dropped.

    Args:
        workspace: Where files go.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._outputs: WeakKeyDictionary[Pipeline, Outputs] = WeakKeyDictionary()
        self._publishing: dict[Outputs, asyncio.Task[None]] = {}
        self._publisher = ThreadPoolExecutor(1, thread_name_prefix="publisher")

    def of(self, pipeline: Pipeline) -> Outputs:
        """Return where the nodes of a pipeline write."""
        if (outputs := self._outputs.get(pipeline)) is None:
            outputs = self._outputs[pipeline] = self._workspace.outputs()
        return outputs

    async def publish(self, outputs: Outputs) -> None:
        """Publish what a call wrote before it is answered; large files that still grow, soon after."""
        if not outputs.pending:
            return
        whole = await asyncio.to_thread(outputs.publish, final=False)
        if not whole and outputs not in self._publishing:
            task = self._publishing[outputs] = asyncio.create_task(_publish_soon(outputs))
            task.add_done_callback(lambda done: self._publishing.pop(outputs, None))

    def release(self, pipeline: Pipeline) -> None:
        """Publish what is left of a pipeline that was dropped and closed, in the background. Any thread may call it."""
        outputs = self._outputs.pop(pipeline, None)
        if outputs is not None and outputs.pending:
            self._publisher.submit(_publish_last, outputs)

    def stop(self) -> None:
        """Publish no more while pipelines are in use."""
        for task in list(self._publishing.values()):
            task.cancel()

    def close(self) -> None:
        """Wait until everything that was released is published."""
        self._publisher.shutdown()


async def _publish_soon(outputs: Outputs) -> None:
    whole = False
    while not whole:
        await asyncio.sleep(_PUBLISH_INTERVAL_S)
        try:
            whole = await asyncio.to_thread(outputs.publish, final=False)
        except Unavailable:
            continue
        except SwathError as error:
            _log.warning("files that nodes wrote could not be published", error=str(error))
            return


def _publish_last(outputs: Outputs) -> None:
    try:
        retry_while_unavailable(outputs.publish)
    except SwathError as error:
        _log.warning("files that nodes wrote could not be published", error=str(error))
    finally:
        outputs.close()
