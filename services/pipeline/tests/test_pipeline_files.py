"""Runs on their way to files and back: which files, and what is found in them."""

import json

import pytest
import yaml

from swath.documents import canonical, parse
from swath.engine.graph import weights
from swath.engine.graph.pipeline import Pipeline
from swath.errors import (
    DocumentInvalid,
    FileMissing,
    InvalidInput,
    PathDenied,
    PipelineMissing,
    Precondition,
    SessionNotFound,
    WeightsInvalid,
)
from swath.rpc.caller import Caller, acting_as
from swath.sessions.ownership import OwnedSessions
from swath_pipeline import PipelineService
from swath_pipeline.artifacts import PipelineArtifacts

from .conftest import PIPELINE

RUN = {"name": "run", "data": {"data_module": "scene", "batch_size": 2}, "pipeline": "run_pipeline.yaml"}


@pytest.fixture
async def configured(service, sessions, store, loaded):
    """A session with a pipeline, weights whose mean is 6, and a run config."""
    await service.load_weights(loaded, path=None, data=_weights(6), strict=True)
    digest = store.put_sync(canonical(parse("trainrun", {**RUN, "pipeline": None})))
    await sessions.change(loaded, lambda _: {"run_config_digest": digest})
    return loaded


@pytest.fixture
def write(workspace):
    """Writes a document, which as JSON is YAML too, into the workspace; bytes as they are."""

    def put(name, content):
        file = workspace.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())

    return put


@pytest.fixture
def mean(sessions, store):
    """Returns the mean that a session's detector has; None for a session without weights."""

    async def read(session_id):
        session = await sessions.get(session_id)
        if session.weights_digest is None:
            return None
        pipeline = PipelineArtifacts(store).open(session.pipeline_digest, session.weights_digest)
        return pipeline.state()["rx"]["mu"][0].item()

    return read


def _weights(mean):
    state = Pipeline.from_document(parse("pipeline", PIPELINE)).state()
    state["rx"]["mu"].fill_(mean)
    return weights.dump(state)


class TestSaveRun:
    async def test_a_run_is_three_files_that_name_each_other(self, service, configured, workspace):
        saved = await service.save_run(configured, "runs/a.yaml", weights=True)
        folder = workspace.root / "runs"
        assert saved.trainrun == folder / "a.yaml"
        assert saved.pipeline == folder / "a_pipeline.yaml"
        assert saved.weights == folder / "a_pipeline.pt"
        run = yaml.safe_load(saved.trainrun.read_text())
        assert (run["name"], run["data"]["batch_size"], run["pipeline"]) == ("run", 2, "a_pipeline.yaml")
        assert yaml.safe_load(saved.pipeline.read_text())["nodes"][0]["hparams"]["num_channels"] == 3

    async def test_weights_are_left_out_when_they_are_not_asked_for(self, service, configured, workspace):
        saved = await service.save_run(configured, "a.yaml", weights=False)
        assert saved.weights is None
        assert sorted(each.name for each in workspace.root.iterdir() if each.is_file()) == ["a.yaml", "a_pipeline.yaml"]

    async def test_a_saved_run_comes_back_as_it_was(self, service, sessions, configured, mean):
        await service.save_run(configured, "a.yaml", weights=True)
        restored, run = await service.restore_run("a.yaml", None, strict=True, session_id="")
        before, after = await sessions.get(configured), await sessions.get(restored)
        assert restored != configured
        assert run.data.batch_size == 2
        assert after.run_config_digest == before.run_config_digest
        assert await mean(restored) == 6

    @pytest.mark.parametrize(
        ("path", "error"), [("", InvalidInput), ("../a.yaml", PathDenied), ("/etc/a.yaml", PathDenied)]
    )
    async def test_a_path_that_may_not_be_written_is_refused(self, service, configured, path, error):
        with pytest.raises(error):
            await service.save_run(configured, path, weights=True)

    async def test_a_run_needs_a_pipeline(self, service, session):
        with pytest.raises(PipelineMissing):
            await service.save_run(session, "a.yaml", weights=True)


class TestSavePipeline:
    async def test_metadata_are_those_given_over_those_there_were(self, service, session):
        before = {"name": "before", "tags": ["old"], "author": "somebody", "description": "words"}
        await service.load_pipeline(session, json.dumps({**PIPELINE, "metadata": before}).encode())
        file = (await service.save_pipeline(session, "new.yaml", {"name": "", "tags": ["new"], "author": ""})).pipeline
        metadata = yaml.safe_load(file.read_text())["metadata"]
        assert (metadata["name"], metadata["tags"]) == ("new", ["new"])
        assert (metadata["author"], metadata["description"]) == ("somebody", "words")
        assert metadata["created"]

    async def test_a_name_and_a_time_that_are_given_stay(self, service, loaded):
        given = {"name": "mine", "created": "2026-01-01"}
        file = (await service.save_pipeline(loaded, "new.yaml", given)).pipeline
        metadata = yaml.safe_load(file.read_text())["metadata"]
        assert (metadata["name"], metadata["created"]) == ("mine", "2026-01-01")

    async def test_a_saved_pipeline_is_loaded_again_with_its_weights(self, service, configured, session, mean):
        saved = await service.save_pipeline(configured, "a.yaml", {})
        await service.load_pipeline(session, json.dumps(yaml.safe_load(saved.pipeline.read_text())).encode())
        await service.load_weights(session, path=str(saved.weights), data=None, strict=True)
        assert await mean(session) == 6

    async def test_a_pipeline_may_be_saved_over_another(self, service, loaded, own):
        for author in ("first", "second"):
            file = (await service.save_pipeline(loaded, "a.yaml", {"author": author})).pipeline
        assert "author: second" in file.read_text()
        assert sorted(each.name for each in own.iterdir()) == ["a.pt", "a.yaml"]

    async def test_shipped_pipelines_stay_as_they_are(self, service, loaded, workspace):
        file = (await service.save_pipeline(loaded, "rx.yaml", {})).pipeline
        assert file == workspace.root / "configs" / "pipeline" / "rx.yaml"
        assert "shipped" in (workspace.configs / "pipeline" / "rx.yaml").read_text()

    async def test_there_must_be_one(self, service, session):
        with pytest.raises(PipelineMissing):
            await service.save_pipeline(session, "a.yaml", {})
        with pytest.raises(SessionNotFound):
            await service.save_pipeline("nobody", "a.yaml", {})


class TestFindingThePipeline:
    async def test_of_a_run_that_holds_it(self, service, write, sessions):
        write("run.yaml", {**RUN, "pipeline": PIPELINE})
        restored, _ = await service.restore_run("run.yaml", None, strict=True, session_id="")
        assert (await sessions.get(restored)).pipeline_digest

    @pytest.mark.parametrize(
        ("reference", "place"),
        [
            ("mine.yaml", "runs/mine.yaml"),
            ("mine", "runs/mine.yaml"),
            ("pipelines/mine.yaml", "pipelines/mine.yaml"),
            ("deep/mine.yaml", "runs/deep/mine.yaml"),
            (None, "runs/run_pipeline.yaml"),
            ("gone.yaml", "runs/run_pipeline.yaml"),
        ],
        ids=["beside it", "without suffix", "above it", "below it", "by its name", "moved away"],
    )
    async def test_of_a_run_that_names_it(self, service, write, mean, reference, place):
        write(place, PIPELINE)
        write(place.replace(".yaml", ".pt"), _weights(8))
        write("runs/run.yaml", {**RUN, "pipeline": reference})
        restored, _ = await service.restore_run("runs/run.yaml", None, strict=True, session_id="")
        assert await mean(restored) == 8

    async def test_that_is_nowhere_says_where_was_looked(self, service, write):
        write("run.yaml", {**RUN, "pipeline": "gone.yaml"})
        with pytest.raises(FileMissing, match=r"'gone\.yaml'.* not found; looked for \['/"):
            await service.restore_run("run.yaml", None, strict=True, session_id="")

    async def test_outside_of_the_workspace_is_denied(self, service, write, tmp_path):
        (tmp_path / "outside.yaml").write_text(json.dumps(PIPELINE))
        write("run.yaml", {**RUN, "pipeline": "../outside.yaml"})
        with pytest.raises(PathDenied, match="leads out of the allowed folders"):
            await service.restore_run("run.yaml", None, strict=True, session_id="")


class TestRestore:
    @pytest.fixture(autouse=True)
    def run(self, write):
        """A run with weights whose mean is 1, and others whose mean is 2."""
        write("runs/run.yaml", RUN)
        write("runs/run_pipeline.yaml", PIPELINE)
        write("runs/run_pipeline.pt", _weights(1))
        write("runs/other.pt", _weights(2))
        write("elsewhere.pt", _weights(3))

    @pytest.mark.parametrize(
        ("weights", "expected"),
        [(None, 1), ("", 1), ("other.pt", 2), ("other", 2), ("runs/other.pt", 2), ("elsewhere.pt", 3)],
    )
    async def test_takes_the_weights_named_or_those_beside(self, service, mean, weights, expected):
        restored, _ = await service.restore_run("runs/run.yaml", weights, strict=True, session_id="")
        assert await mean(restored) == expected

    async def test_into_a_session_replaces_its_pipeline_and_keeps_its_plugins(self, service, sessions, loaded):
        manifest = {"name": "mine", "path": "/opt/mine", "capabilities": [{"class_name": "mine.Node"}]}
        await service.register_plugin(loaded, json.dumps(manifest).encode())
        before = await sessions.get(loaded)
        restored, _ = await service.restore_run("runs/run.yaml", None, strict=True, session_id=loaded)
        after = await sessions.get(loaded)
        assert restored == loaded
        assert after.weights_digest != before.weights_digest
        assert after.plugins == before.plugins

    async def test_makes_a_session_of_the_caller_s(self, sessions, store, workspace):
        service = PipelineService(OwnedSessions(sessions), store, workspace)
        with acting_as(Caller("alice", "token")):
            restored, _ = await service.restore_run("runs/run.yaml", None, strict=True, session_id="")
        assert (await sessions.get(restored)).owner == "alice"

    async def test_strict_refuses_weights_that_are_not_whole(self, service, write, mean):
        nodes = [*PIPELINE["nodes"], {**PIPELINE["nodes"][0], "name": "second"}]
        write("runs/run_pipeline.yaml", {**PIPELINE, "nodes": nodes})
        with pytest.raises(WeightsInvalid, match="second is missing"):
            await service.restore_run("runs/run.yaml", None, strict=True, session_id="")
        restored, _ = await service.restore_run("runs/run.yaml", None, strict=False, session_id="")
        assert await mean(restored) == 1

    @pytest.mark.parametrize(
        ("path", "weights", "error"),
        [
            ("", None, InvalidInput),
            ("nowhere.yaml", None, FileMissing),
            ("../run.yaml", None, PathDenied),
            ("runs/run.yaml", "nowhere.pt", FileMissing),
        ],
    )
    async def test_of_what_is_not_there_is_refused(self, service, sessions, path, weights, error):
        with pytest.raises(error):
            await service.restore_run(path, weights, strict=True, session_id="")
        assert await sessions._store.count() == 0

    async def test_into_nobody_s_session_is_refused(self, service):
        with pytest.raises(SessionNotFound):
            await service.restore_run("runs/run.yaml", None, strict=True, session_id="nobody")

    async def test_of_a_run_that_is_to_be_composed_says_how(self, service, write):
        write("runs/run.yaml", {**RUN, "defaults": ["_self_"]})
        with pytest.raises(DocumentInvalid, match="call ResolveConfig and SetTrainRunConfig"):
            await service.restore_run("runs/run.yaml", None, strict=True, session_id="")

    async def test_that_cannot_give_a_new_session_its_pipeline_leaves_none(self, service, sessions, monkeypatch):
        async def refuse(*arguments, **options):
            raise Precondition("the store is being moved")

        monkeypatch.setattr(sessions, "change", refuse)
        with pytest.raises(Precondition):
            await service.restore_run("runs/run.yaml", None, strict=True, session_id="")
        assert await sessions._store.count() == 0
