"""The example scripts, each against a real server."""

import pytest

from .conftest import SCENE, Run

QUICK = ("--max-epochs", "1")
PIPELINE = "outputs/test_pipeline"
TRAINRUN = "outputs/test_trainrun"


@pytest.fixture(scope="session")
def saved(server: str, script: Run) -> str:
    """What complete_workflow_client prints, and leaves saved on the server."""
    paths = ("--pipeline-out", f"{PIPELINE}.yaml", "--trainrun-out", f"{TRAINRUN}.yaml")
    return script("complete_workflow_client.py", "--target", server, *QUICK, *paths)


def test_complete_workflow(saved: str) -> None:
    assert "Session closed." in saved
    assert "TRAIN_STATUS_COMPLETE" in saved
    assert "Trainrun saved to" in saved
    assert ".scores: float32 [1, 100, 100, 1]" in saved


def test_statistical_training(server: str, script: Run) -> None:
    said = script("statistical_training_client.py", "--target", server)
    assert "Training ended as TRAIN_STATUS_COMPLETE" in said
    assert "rx.scores" in said


def test_gradient_training(server: str, script: Run) -> None:
    said = script("gradient_training_client.py", "--server", server, *QUICK)
    assert "gradient    [" in said
    assert "TRAIN_STATUS_COMPLETE" in said


@pytest.mark.usefixtures("saved")
@pytest.mark.parametrize("scene", [SCENE, SCENE.with_suffix(".hdr")], ids=["npz", "envi"])
def test_run_inference(server: str, script: Run, scene: object) -> None:
    paths = ("--pipeline-path", f"pipeline/{PIPELINE}", "--weights-path", f"pipeline/{PIPELINE}.pt")
    said = script("run_inference.py", *paths, "--cu3s-file-path", str(scene), "--server", server)
    assert "Input Specs:" in said
    assert "cube: shape=[-1x-1x-1x-1]" in said
    assert ".scores: float32 [1, 100, 100, 1]" in said


@pytest.mark.usefixtures("saved")
@pytest.mark.parametrize(("mode", "said"), [("info", "Output Specs:"), ("test", "test: "), ("validate", "validate: ")])
def test_restore_trainrun(server: str, script: Run, mode: str, said: str) -> None:
    paths = ("--trainrun-path", f"{TRAINRUN}.yaml", "--weights-path", f"{TRAINRUN}_pipeline.pt")
    printed = script("restore_trainrun_grpc.py", *paths, "--mode", mode, "--server", server)
    assert said in printed
    assert "Session closed." in printed


@pytest.mark.usefixtures("saved")
def test_restored_trainrun_trains_again_with_overrides(server: str, script: Run) -> None:
    arguments = ("--trainrun-path", f"{TRAINRUN}.yaml", "--mode", "train", "--override", "training.max_epochs=1")
    assert "TRAIN_STATUS_COMPLETE" in script("restore_trainrun_grpc.py", *arguments, "--server", server)
