"""What a pipeline takes and gives."""

import json

from swath_pipeline import workbench
from swath_pipeline.introspection import Introspection

from .conftest import PIPELINE


async def test_a_pipeline_is_opened_once_for_all_sessions_that_have_it(sessions, store, loading, loaded, monkeypatch):
    opened = []
    real = workbench.open_pipeline

    def counted(*arguments):
        opened.append(arguments[1:])
        return real(*arguments)

    monkeypatch.setattr(workbench, "open_pipeline", counted)
    introspection = Introspection(sessions, store)
    other = (await sessions.create()).id
    await loading.load_pipeline(other, json.dumps(PIPELINE).encode())
    first = await introspection.inputs(loaded)
    assert await introspection.inputs(other) == first
    assert [*await introspection.outputs(other)] == ["rx.scores"]
    assert len(opened) == 1
    wider = json.loads(json.dumps(PIPELINE).replace("3", "4"))
    await loading.load_pipeline(other, json.dumps(wider).encode())
    assert await introspection.inputs(other) != first
    assert await introspection.inputs(loaded) == first
    assert len(opened) == 2
