"""What a pipeline takes and gives."""

import json

from swath_pipeline.artifacts import PipelineArtifacts

from .conftest import PIPELINE


async def test_a_pipeline_is_opened_once_for_all_sessions_that_have_it(sessions, service, loaded, monkeypatch):
    opened = []
    real = PipelineArtifacts.open

    def counted(*arguments):
        opened.append(arguments[1:])
        return real(*arguments)

    monkeypatch.setattr(PipelineArtifacts, "open", counted)
    other = (await sessions.create()).id
    await service.load_pipeline(other, json.dumps(PIPELINE).encode())
    first = await service.inputs(loaded)
    assert await service.inputs(other) == first
    assert [*await service.outputs(other)] == ["rx.scores"]
    assert len(opened) == 1
    wider = json.loads(json.dumps(PIPELINE).replace("3", "4"))
    await service.load_pipeline(other, json.dumps(wider).encode())
    assert await service.inputs(other) != first
    assert await service.inputs(loaded) == first
    assert len(opened) == 2
