"""The command line against a real server."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest

from swath.client import read_scenes, roc_auc

from .conftest import SCENE

Swath = Callable[..., CompletedProcess[str]]


@pytest.fixture(scope="module")
def trained(swath: Swath) -> str:
    """Name under which `swath train` has saved global RX."""
    done = swath("train", "san_diego_rx", "-u", f"{SCENE}:data/san_diego.npz", "--save", "cli/rx.yaml")
    assert done.returncode == 0, done.stderr
    assert "✓ statistical" in done.stdout
    assert "test: metrics/average_precision 0." in done.stdout
    return "cli/rx.yaml"


def test_files_go_up_and_come_down_unchanged(swath: Swath, tmp_path: Path) -> None:
    (tmp_path / "up" / "deep").mkdir(parents=True)
    (tmp_path / "up" / "deep" / "a.bin").write_bytes(bytes(range(256)) * 9000)
    assert swath("cp", tmp_path / "up", ":cli-files/").returncode == 0
    assert "cli-files/up/deep/a.bin" in swath("ls", "-r", "cli-files").stdout
    assert swath("cp", "swath:cli-files/up", tmp_path / "down").returncode == 0
    same = (tmp_path / "down" / "deep" / "a.bin").read_bytes()
    assert same == (tmp_path / "up" / "deep" / "a.bin").read_bytes()
    assert swath("rm", "-r", ":cli-files").returncode == 0
    assert swath("ls", "cli-files").returncode == 1


@pytest.mark.parametrize("suffix", [".npz", ".png", ".hdr"])
def test_infer_with_a_saved_trainrun(swath: Swath, trained: str, tmp_path: Path, suffix: str) -> None:
    arguments = ("infer", SCENE.with_suffix(".hdr"), "--trainrun", trained, "--port", "rx.scores")
    done = swath(*arguments, "-o", tmp_path / f"out{suffix}")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / f"out{suffix}").stat().st_size > 100


def test_inferred_scores_find_the_aircraft(swath: Swath, trained: str, tmp_path: Path) -> None:
    assert swath("infer", SCENE, "--trainrun", trained, "-o", tmp_path / "out.npz").returncode == 0
    [scene] = read_scenes(SCENE)
    with np.load(tmp_path / "out.npz") as outputs:
        auc = roc_auc(outputs["rx.scores"], scene.mask)  # type: ignore[arg-type]
    assert auc == pytest.approx(0.940, abs=1e-3)


def test_restore_shows_inputs_and_outputs(swath: Swath, trained: str) -> None:
    done = swath("restore", trained)
    assert done.returncode == 0, done.stderr
    assert "cube" in done.stdout
    assert "metrics.metrics" in done.stdout


def test_nodes_are_listed_by_category(swath: Swath) -> None:
    done = swath("nodes", "--category", "loss")
    assert done.returncode == 0, done.stderr
    assert "AnomalyBCEWithLogits" in done.stdout
    assert "RXGlobal" not in done.stdout


def test_a_node_is_shown_with_ports_and_arguments(swath: Swath) -> None:
    done = swath("nodes", "RXGlobal")
    assert done.returncode == 0, done.stderr
    for word in ("cuvis_ai.node.anomaly.rx_detector.RXGlobal", "scores", "float32", "num_channels", "required"):
        assert word in done.stdout


def test_pipelines_are_listed_shown_and_drawn(swath: Swath, tmp_path: Path) -> None:
    assert "anomaly/rx/rx_statistical.yaml" in swath("pipeline", "list", "--tag", "rx").stdout
    shown = swath("pipeline", "show", "anomaly/rx/rx_statistical").stdout
    assert "MinMaxNormalizer.normalized" in shown
    assert "num_channels=61" in shown
    drawn = swath("pipeline", "draw", "anomaly/rx/rx_statistical", "-o", tmp_path / "rx.svg")
    assert drawn.returncode == 0, drawn.stderr
    assert (tmp_path / "rx.svg").read_text().startswith("<?xml")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nodes", "NoSuchNode"), "Unknown node class 'NoSuchNode'"),
        (("pipeline", "show"), "swath pipeline list names all"),
        (("pipeline", "draw", "anomaly/rx/rx_statistical", "-o", "rx.bmp"), "must end in one of"),
        (("train", "no_such_trainrun"), "CONFIG_NOT_FOUND"),
        (("train", "san_diego_rx", "training.no_such_key=1"), "no_such_key"),
        (("infer", SCENE, "--trainrun", "nowhere.yaml"), "nowhere"),
        (("infer", "missing.npz", "--trainrun", "nowhere.yaml"), "data file 'missing.npz' does not exist"),
        (("infer", SCENE), "one of --pipeline, --trainrun, --session and --model"),
        (("cp", SCENE, ":../outside.npz"), "PATH_DENIED"),
        (("cp", "here", "there"), "must be on the server"),
        (("ls", "nowhere"), "nowhere"),
    ],
)
def test_errors_are_one_line(swath: Swath, arguments: tuple[str, ...], said: str) -> None:
    done = swath(*arguments)
    assert done.returncode == 1
    assert said in done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
