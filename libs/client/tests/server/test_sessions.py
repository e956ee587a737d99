"""The blocking client against a real server: sessions from the first call to the last."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from swath.client import (
    Client,
    InvalidArgumentError,
    LocalError,
    NotFoundError,
    PreconditionError,
    RunSummary,
    Session,
    read_scenes,
)
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb

from .conftest import RX, SCALE

pytestmark = pytest.mark.xdist_group("client-server")

RAMP = np.array([0.0, 1.0, 2.0, 4.0], np.float32).reshape(1, 2, 2, 1)
"""One image of four pixels and one channel."""


def test_a_server_that_serves_is_ready(client: Client) -> None:
    client.ready(10.0)


def test_a_session_ends_with_its_block(client: Client) -> None:
    with client.session() as session:
        assert session.search([]).rejected == ()
    with pytest.raises(NotFoundError) as caught:
        client.attach(session.id).search([])
    assert caught.value.reason == "SESSION_NOT_FOUND"


def test_a_session_that_is_closed_within_its_block_is_no_error(client: Client) -> None:
    with client.session() as session:
        session.close()


def test_a_session_may_be_left_open_and_attached_to(client: Client) -> None:
    opened = client.open_session()
    with client.attach(opened.id) as session:
        session.load_pipeline(SCALE)
        assert list(opened.inputs()) == ["data"]


def test_search_paths_are_added_or_replaced(session: Session) -> None:
    before = session.search([]).current
    added = session.search(["pipeline/tiny"])
    assert [path.endswith("/pipeline/tiny") for path in added.current].count(True) >= 1
    assert len(added.current) > len(before)
    replaced = session.search(["nowhere", "data"], append=False)
    assert replaced.rejected == ("nowhere",)
    assert all(path.endswith("/data") for path in replaced.current)


def test_a_config_is_composed_with_overrides(session: Session) -> None:
    config = session.resolve("trainrun", "tiny_rx", ["data.batch_size=2"])
    assert (config["name"], config["data"]["batch_size"]) == ("tiny_rx", 2)
    assert [node["name"] for node in config["pipeline"]["nodes"]] == ["data", "rx"]


@pytest.mark.parametrize(
    ("path", "overrides", "reason"),
    [("no_such", [], "CONFIG_NOT_FOUND"), ("tiny_rx", ["nothing.at.all=1"], "CONFIG_INVALID")],
)
def test_what_cannot_be_composed_is_refused(session: Session, path: str, overrides: list[str], reason: str) -> None:
    with pytest.raises((NotFoundError, InvalidArgumentError)) as caught:
        session.resolve("trainrun", path, overrides)
    assert caught.value.reason == reason


class TestPipelines:
    def test_a_pipeline_is_loaded_and_described(self, session: Session) -> None:
        metadata = session.load_pipeline(SCALE)
        assert (metadata.name, list(metadata.tags)) == ("Scale", ["tiny"])
        assert session.inputs()["data"].required
        assert session.outputs()["scale.normalized"].dtype == pb.D_TYPE_FLOAT32

    def test_inference_gives_arrays(self, session: Session) -> None:
        session.load_pipeline(SCALE)
        outputs = session.infer(data=RAMP)
        assert outputs.only("normalized").ravel().tolist() == [0.0, 0.25, 0.5, 1.0]
        assert outputs.metrics == {}

    def test_outputs_that_are_not_asked_for_do_not_come(self, session: Session) -> None:
        session.load_pipeline(SCALE)
        assert list(session.infer(data=RAMP, outputs=["scale.normalized"])) == ["scale.normalized"]

    def test_an_output_that_there_is_none_of_is_refused_with_what_there_is(self, session: Session) -> None:
        session.load_pipeline(SCALE)
        with pytest.raises(LocalError, match=r"no output 'normalised'; it has scale\.normalized"):
            session.infer(data=RAMP, outputs=["scale.normalized", "normalised"])

    def test_without_a_pipeline_there_is_no_inference(self, session: Session) -> None:
        with pytest.raises(PreconditionError) as caught:
            session.infer(data=RAMP)
        assert (caught.value.method, caught.value.reason) == ("Inference", "PIPELINE_MISSING")

    def test_an_input_that_is_missing_is_named(self, session: Session) -> None:
        session.load_pipeline(SCALE)
        with pytest.raises(InvalidArgumentError, match="data"):
            session.infer(cube=RAMP)

    @pytest.mark.parametrize(
        ("kind", "begin"), [("svg", b"<?xml"), ("png", b"\x89PNG"), ("dot", b"digraph"), ("mermaid", b"flowchart")]
    )
    def test_a_session_s_pipeline_is_drawn(self, session: Session, kind: str, begin: bytes) -> None:
        session.load_pipeline(SCALE)
        assert session.draw(kind).startswith(begin)

    def test_a_document_is_drawn_without_a_session(self, client: Client) -> None:
        document = client.pipeline_info("tiny/rx.yaml").yaml_content
        assert b"RXGlobal" in client.draw(document, "dot")

    def test_pipelines_are_listed_by_tag(self, client: Client) -> None:
        tagged = {info.pipeline_path for info in client.pipelines("TINY")}
        everything = {info.pipeline_path for info in client.pipelines()}
        assert {"tiny/rx.yaml", "tiny/scale.yaml"} <= tagged
        assert "anomaly/rx/rx_statistical.yaml" in everything - tagged

    def test_a_pipeline_that_is_not_there_is_not_found(self, client: Client) -> None:
        with pytest.raises(NotFoundError, match="no/such"):
            client.pipeline_info("no/such.yaml")


class TestTraining:
    def test_a_run_gives_messages_to_its_end_and_a_name(self, client: Client, session: Session) -> None:
        assert session.set_run_config(session.resolve("trainrun", "tiny_rx"))
        summary = RunSummary()
        for progress in session.train("statistical"):
            summary.add(progress)
        assert (summary.complete, summary.nodes) == (True, ["rx"])
        assert session.status().status == pb.TRAIN_STATUS_COMPLETE
        assert [line.text for line in client.logs(session.run_id)] == ["attempt begins", "attempt ends"]

    def test_a_run_may_read_other_data_than_its_trainrun_names(self, session: Session) -> None:
        session.set_run_config(session.resolve("trainrun", "tiny_rx"))
        elsewhere = {"data_module": "scene", "params": {"path": "data/nowhere.npz"}}
        with pytest.raises(NotFoundError, match=r"nowhere\.npz"):
            list(session.train(data=elsewhere))

    def test_a_run_needs_data(self, session: Session) -> None:
        with pytest.raises(InvalidArgumentError, match="requires data config"):
            list(session.train())

    def test_before_the_first_run_there_is_nothing_to_tell(self, session: Session) -> None:
        assert session.status().message == "No training activity in this session yet"

    def test_a_stopped_session_does_not_start_its_next_phase(self, session: Session) -> None:
        session.set_run_config(session.resolve("trainrun", "tiny_rx"))
        assert session.stop()
        summary = RunSummary()
        for progress in session.train():
            summary.add(progress)
        assert summary.status == "TRAIN_STATUS_CANCELLED"

    def test_scores_are_distances_from_the_scene_s_mean(self, client: Client, trained: str, scene: Path) -> None:
        [frame] = read_scenes(scene)
        with client.restore(trained) as session:
            scores = session.infer(outputs=["rx.scores"], **frame.inputs()).only("scores")
        pixels = frame.cube.reshape(-1, 3).astype(np.float64)
        away = pixels - pixels.mean(axis=0)
        covariance = np.cov(pixels.T) + 1e-4 * np.eye(3)
        expected = np.einsum("pi,ij,pj->p", away, np.linalg.inv(covariance), away)
        np.testing.assert_allclose(scores.ravel(), expected, rtol=1e-4)
        assert scores.argmax() == frame.mask.argmax()  # type: ignore[union-attr]


class TestSaving:
    def test_a_run_comes_back_in_a_new_session(self, client: Client, trained: str) -> None:
        with client.restore(trained, "runs/tiny_pipeline.pt") as session:
            assert session.run_config["name"] == "tiny_rx"
            assert "rx.scores" in session.outputs()

    def test_a_run_comes_back_in_a_session_that_is_there(self, client: Client, session: Session, trained: str) -> None:
        assert client.restore(trained, session_id=session.id).id == session.id

    def test_a_run_s_weights_may_be_left_out(self, client: Client, trained: str) -> None:
        with client.restore(trained) as session:
            saved = session.save_trainrun("runs/bare.yaml", weights=False)
        assert saved.weights == ""
        assert saved.trainrun.endswith("runs/bare.yaml")
        assert [entry.name for entry in client.workspace.list("runs") if entry.name.startswith("bare")] == [
            "bare.yaml",
            "bare_pipeline.yaml",
        ]

    def test_a_pipeline_is_saved_under_a_name_of_its_own(self, client: Client, trained: str) -> None:
        with client.restore(trained) as session:
            saved = session.save_pipeline("made/rx.yaml", pb.PipelineMetadata(name="Mine", tags=["made"]))
        assert saved.weights.endswith("configs/pipeline/made/rx.pt")
        [info] = client.pipelines("made")
        assert (info.pipeline_path, info.metadata.name, bool(info.weights_path)) == ("made/rx.yaml", "Mine", True)

    @pytest.mark.parametrize("sent", [True, False], ids=["sent", "named"])
    def test_weights_make_a_pipeline_ready(self, client: Client, session: Session, trained: str, sent: bool) -> None:
        session.load_pipeline(RX)
        weights = client.workspace.read("runs/tiny_pipeline.pt") if sent else "runs/tiny_pipeline.pt"
        assert session.load_weights(weights).endswith("(client-bytes)" if sent else "runs/tiny_pipeline.pt")
        cube = np.zeros((1, 1, 1, 3), np.float32)
        assert session.infer(cube=cube, wavelengths=np.array([[450, 550, 650]])).only("scores").shape == (1, 1, 1, 1)

    def test_weights_of_another_pipeline_do_not_fit(self, session: Session, trained: str) -> None:
        session.load_pipeline(SCALE)
        with pytest.raises(InvalidArgumentError):
            session.load_weights("runs/tiny_pipeline.pt")

    def test_weights_that_are_not_there_are_not_found(self, session: Session) -> None:
        session.load_pipeline(RX)
        with pytest.raises(NotFoundError, match="nowhere"):
            session.load_weights("nowhere.pt")


class TestNodes:
    def test_classes_are_listed_and_described(self, session: Session) -> None:
        assert "RXGlobal" in {node.class_name for node in session.nodes()}
        [described] = session.describe_nodes("RXGlobal")
        assert described.fittable
        assert [hparam.name for hparam in described.hparams if hparam.required] == ["num_channels"]

    def test_a_plugin_s_classes_are_listed_with_its_name(self, session: Session, tmp_path: Path) -> None:
        manifest = {"name": "mine", "path": str(tmp_path), "capabilities": [{"class_name": "mine.nodes.Blur"}]}
        assert session.load_plugin(manifest) == "mine"
        [node] = [node for node in session.nodes() if node.plugin_name]
        assert (node.class_name, node.plugin_name, node.source) == ("Blur", "mine", "plugin")

    def test_a_manifest_that_is_none_is_refused(self, session: Session) -> None:
        with pytest.raises(LocalError, match="the server refused the manifest"):
            session.load_plugin({"name": "no name at all"})
