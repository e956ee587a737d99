"""Runs and pipelines that are saved and restored, and what is refused without a trace."""

import json

import pytest

from swath.documents import load_yaml
from swath.errors import (
    DocumentInvalid,
    FileMissing,
    GraphInvalid,
    InvalidInput,
    PipelineMissing,
    Precondition,
    RunActive,
    WeightsInvalid,
)

from .conftest import PIPELINE

RUN = {"name": "run", "data": {"data_module": "scene"}, "pipeline": "run_pipeline.yaml"}


@pytest.fixture
def write(workspace):
    """Writes a document, which as JSON is YAML too, into the workspace."""

    def put(name, content):
        (workspace.root / name).write_text(content if isinstance(content, str) else json.dumps(content))

    return put


async def test_a_pipeline_is_saved_with_all_its_arguments_and_its_weights(service, loaded, own):
    saved = await service.save_pipeline(loaded, "a/rx.yaml", {"author": "somebody"})
    file = saved.pipeline
    assert (file, saved.weights) == (own / "a" / "rx.yaml", own / "a" / "rx.pt")
    assert "eps:" in file.read_text()
    assert "author: somebody" in file.read_text()


@pytest.mark.parametrize("path", ["", ".", "a", "a.pt"])
async def test_a_path_that_is_no_file_s_leaves_nothing_behind(service, loaded, own, path):
    (own / "a").mkdir()
    with pytest.raises(InvalidInput):
        await service.save_pipeline(loaded, path, {})
    assert [each.name for each in own.parent.rglob("*")] == ["pipeline", "a"]


async def test_a_session_without_a_run_config_is_saved_as_a_run_of_its_pipeline(service, sessions, loaded):
    saved = await service.save_run(loaded, "run.yaml", weights=True)
    content = load_yaml(saved.trainrun.read_text())
    assert (content["name"], content["pipeline"]) == ("trainrun", "run_pipeline.yaml")
    assert (content["data"]["data_module"], content["training"]["max_epochs"]) == ("cu3s", 100)
    assert saved.weights is not None
    again, run = await service.restore_run("run.yaml", "run_pipeline.pt", strict=True, session_id="")
    assert run.loss_nodes == []
    assert (await sessions.get(again)).weights_digest


async def test_a_run_without_a_config_has_the_name_of_its_pipeline(service, session):
    document = {**PIPELINE, "metadata": {"name": "rx of mine"}}
    await service.load_pipeline(session, json.dumps(document).encode())
    saved = await service.save_run(session, "run.yaml", weights=False)
    assert load_yaml(saved.trainrun.read_text())["name"] == "rx of mine"


async def test_a_session_without_a_pipeline_is_no_run(service, session):
    with pytest.raises(PipelineMissing):
        await service.save_run(session, "run.yaml", weights=True)


async def test_a_run_comes_back_by_its_path_alone(service, sessions, write):
    write("run_pipeline.yaml", PIPELINE)
    write("run.yaml", RUN)
    session_id, run = await service.restore_run("run", None, strict=True, session_id="")
    session = await sessions.get(session_id)
    assert run.name == "run"
    assert session.pipeline_digest
    assert session.run_config_digest
    assert session.weights_digest is None


@pytest.mark.parametrize(
    ("run", "pipeline", "error"),
    [
        (RUN, None, FileMissing),
        (None, PIPELINE, FileMissing),
        ("[]", PIPELINE, DocumentInvalid),
        ("{", PIPELINE, DocumentInvalid),
        ({**RUN, "defaults": []}, PIPELINE, DocumentInvalid),
        (RUN, 3, DocumentInvalid),
        (RUN, {**PIPELINE, "nodes": [{"name": "a", "class_name": "no.Such"}]}, GraphInvalid),
    ],
    ids=["no pipeline", "no run", "a list", "no YAML", "to be composed", "a number for a pipeline", "no graph"],
)
async def test_a_run_that_cannot_be_restored_leaves_no_session_behind(service, sessions, write, run, pipeline, error):
    for name, content in (("run.yaml", run), ("run_pipeline.yaml", pipeline)):
        if content is not None:
            write(name, content)
    with pytest.raises(error):
        await service.restore_run("run.yaml", None, strict=True, session_id="")
    assert await sessions._store.count() == 0


async def test_weights_that_do_not_fit_are_refused_before_anything_changes(service, sessions, session, write):
    write("run_pipeline.yaml", PIPELINE)
    write("run.yaml", RUN)
    write("bad.pt", "PK no weights")
    with pytest.raises(WeightsInvalid):
        await service.restore_run("run.yaml", "bad.pt", strict=True, session_id=session)
    assert (await sessions.get(session)).pipeline_digest is None


async def test_a_training_session_is_left_alone(service, sessions, loaded, write):
    write("run_pipeline.yaml", PIPELINE)
    write("run.yaml", RUN)
    await sessions.change(loaded, lambda _: {"active_run": "run-1"})
    with pytest.raises(RunActive):
        await service.restore_run("run.yaml", None, strict=True, session_id=loaded)
    with pytest.raises(RunActive):
        await service.load_pipeline(loaded, json.dumps(PIPELINE).encode())
    with pytest.raises(RunActive):
        await service.load_weights(loaded, path=None, data=b"", strict=True)


async def test_a_missing_plugin_is_named(service, session):
    document = {"plugins": ["mine"], "nodes": [{"name": "a", "class_name": "mine.Node"}], "connections": []}
    with pytest.raises(Precondition, match=r"not registered in this session: \['mine'\]"):
        await service.load_pipeline(session, json.dumps(document).encode())


@pytest.mark.parametrize("content", [b'{"nodes": %s}' % (b"1" * 5000), b"3", b"[" * 100_000, b"\xff"])
async def test_what_is_no_document_is_refused(service, session, content):
    with pytest.raises(DocumentInvalid):
        await service.load_pipeline(session, content)
