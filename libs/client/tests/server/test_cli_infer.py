"""``swath infer`` against a real server: from a scene's file to a result's."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from swath.client import Client, SearchPaths

from .conftest import RX, Swath, refused, said

pytestmark = pytest.mark.xdist_group("client-server")


def _rows(lines: list[str]) -> dict[str, list[str]]:
    """Rows of the table by output: frame, dtype, shape and range."""
    rows = [line.replace(", ", ",").split() for line in lines if "[" in line and "wrote" not in line]
    return {row[1]: [row[0], *row[2:]] for row in rows}


@pytest.fixture
def local(tmp_path: Path) -> Path:
    """The detector's document on this machine."""
    (tmp_path / "mine.yaml").write_text(json.dumps(RX))
    return tmp_path / "mine.yaml"


def test_a_saved_trainrun_shows_what_its_outputs_are(swath: Swath, trained: str, scene: Path) -> None:
    rows = _rows(said(swath("infer", scene, "--trainrun", trained)))
    frame, dtype, shape, low, high = rows["rx.scores"]
    assert (frame, dtype, shape) == ("tiny", "float32", "[1,6,8,1]")
    assert 0 < float(low) < float(high)
    assert rows["data.wavelengths"][3:] == ["450", "650"]


def test_results_go_to_a_file(swath: Swath, trained: str, scene: Path, tmp_path: Path) -> None:
    lines = said(swath("infer", scene, "--trainrun", f":{trained}", "--port", "rx.scores", "-o", tmp_path / "out.npz"))
    assert re.fullmatch(rf"wrote {tmp_path}/out\.npz  \d+ bytes|wrote {tmp_path}/out\.npz  \S+ kB", lines[0])
    with np.load(tmp_path / "out.npz") as outputs:
        assert outputs.files == ["rx.scores"]
        assert np.unravel_index(outputs["rx.scores"].argmax(), (6, 8)) == (2, 3)


def test_each_frame_has_a_result_of_its_own(swath: Swath, trained: str, scene: Path, tmp_path: Path) -> None:
    with np.load(scene) as file:
        np.savez(tmp_path / "stack.npz", cube=np.stack([file["cube"]] * 2), wavelengths=file["wavelengths"])
    arguments = ("infer", tmp_path / "stack.npz", "--trainrun", trained, "--port", "scores", "-o", tmp_path / "out.png")
    lines = said(swath(*arguments))
    assert [line.split("  ")[0] for line in lines if "wrote" in line] == [
        f"wrote {tmp_path}/out.png",
        f"wrote {tmp_path}/out_0001.png",
    ]
    assert [line.split()[0] for line in lines if "rx.scores" in line] == ["stack_0000", "stack_0001"]


@pytest.mark.parametrize("asked", [("score",), ("scores", "rx.score"), ("rx",)])
def test_an_output_that_there_is_none_of_is_refused_with_what_there_is(
    swath: Swath, trained: str, scene: Path, tmp_path: Path, asked: tuple[str, ...]
) -> None:
    ports = [word for name in asked for word in ("--port", name)]
    message = refused(swath("infer", scene, "--trainrun", trained, *ports, "-o", tmp_path / "out.npz"))
    assert f"no output '{asked[-1]}'" in message
    # Also those that another node takes.
    for name in ("data.cube", "data.mask", "data.wavelengths", "rx.scores"):
        assert name in message
    assert not (tmp_path / "out.npz").exists()


def test_a_pipeline_of_the_server_runs_with_the_weights_beside_it(
    swath: Swath, client: Client, trained: str, scene: Path
) -> None:
    with client.restore(trained) as session:
        session.save_pipeline("beside/rx.yaml")
    result = swath("infer", scene, "--pipeline", "beside/rx.yaml", "--port", "scores")
    assert "rx.scores" in _rows(said(result))
    assert result.stderr == ""


def test_a_pipeline_without_weights_runs_as_it_is_and_that_is_said(swath: Swath, scene: Path) -> None:
    result = swath("infer", scene, "-p", "tiny/rx")
    assert result.stderr.splitlines()[0] == "no weights at tiny/rx.pt: running the pipeline as it is"
    assert "is not fitted" in refused(result)


@pytest.mark.parametrize("where", ["server", "here"])
def test_weights_may_be_named(
    swath: Swath, client: Client, trained: str, scene: Path, tmp_path: Path, where: str
) -> None:
    weights = "runs/tiny_pipeline.pt"
    if where == "here":
        client.workspace.get(weights, tmp_path / "w.pt")
        weights = str(tmp_path / "w.pt")
    assert "rx.scores" in _rows(said(swath("infer", scene, "-p", "tiny/rx", "-w", weights)))


def test_a_pipeline_of_this_machine_runs_with_the_weights_beside_it(
    swath: Swath, client: Client, trained: str, scene: Path, local: Path
) -> None:
    client.workspace.get("runs/tiny_pipeline.pt", local.with_suffix(".pt"))
    assert "rx.scores" in _rows(said(swath("infer", scene, "-p", local)))


def test_a_pipeline_of_this_machine_leaves_no_file_on_the_server(
    swath: Swath, client: Client, scene: Path, local: Path
) -> None:
    assert "is not fitted" in refused(swath("infer", scene, "-p", local))
    assert not [entry for entry in client.workspace.list("configs/pipeline") if "from-client" in entry.path]


def test_a_pipeline_of_this_machine_may_be_overridden(swath: Swath, scene: Path, local: Path) -> None:
    arguments = ("infer", scene, "-p", local, "--override", "nodes.rx.hparams.num_channels=4")
    assert "4" in refused(swath(*arguments))


def test_a_session_that_is_open_stays_open(swath: Swath, client: Client, trained: str, scene: Path) -> None:
    with client.session() as session:
        session.load_pipeline(RX)
        weights = ("--weights", "runs/tiny_pipeline.pt")
        assert "rx.scores" in _rows(said(swath("infer", scene, "--session", session.id, *weights)))
        assert "rx.scores" in _rows(said(swath("infer", scene, "--session", session.id)))
        assert isinstance(session.search(["data"]), SearchPaths)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("-p", "tiny/rx", "--session", "s1"), "say what to run with one of"),
        (("--trainrun", "runs/tiny.yaml", "--override", "a=1"), "--override changes a pipeline that is loaded"),
        (("-p", "tiny/rx", "-w", "no/such.pt"), "no/such.pt"),
        (("--session", "nobody"), "SESSION_NOT_FOUND"),
    ],
)
def test_what_cannot_run_is_said(swath: Swath, scene: Path, arguments: tuple[str, ...], message: str) -> None:
    assert message in refused(swath("infer", scene, *arguments))


def test_a_result_of_an_unknown_kind_is_refused(swath: Swath, trained: str, scene: Path, tmp_path: Path) -> None:
    result = swath("infer", scene, "--trainrun", trained, "-o", tmp_path / "out.jpg")
    assert "expected a name that ends in .npz, .hdr, .png" in refused(result)


def test_a_processing_mode_is_one_of_four(swath: Swath, scene: Path) -> None:
    result = swath("infer", scene, "-p", "tiny/rx", "--processing-mode", "Cooked")
    assert result.exit_code == 2
    assert "Raw" in result.stderr
