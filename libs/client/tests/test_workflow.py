"""The tutorial's helpers."""

from pathlib import Path

from swath.client import config_search_paths, format_progress
from swath.client.workflow import trainrun_path
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb


def test_search_paths_mean_the_same_to_a_remote_server(tmp_path: Path) -> None:
    assert config_search_paths() == [".", "trainrun", "pipeline", "data", "training"]
    assert config_search_paths([tmp_path, "on/the/server", "data"])[5:] == [str(tmp_path), "on/the/server"]


def test_trainruns_are_found_with_and_without_their_group() -> None:
    assert trainrun_path("deep_svdd") == trainrun_path("trainrun/deep_svdd") == "trainrun/deep_svdd"


def test_progress_is_one_line() -> None:
    progress = pb.TrainResponse(
        context=pb.Context(stage=pb.EXECUTION_STAGE_TRAIN),
        status=pb.TRAIN_STATUS_RUNNING,
        losses={"total": 0.123456},
        message="Training (1/4)",
    )
    assert (
        format_progress(progress)
        == "[EXECUTION_STAGE_TRAIN] TRAIN_STATUS_RUNNING | losses={total: 0.1235} | Training (1/4)"
    )
