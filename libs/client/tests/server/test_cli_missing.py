"""Whatever a command is asked for by name and there is none of is an error, and names what there is where it can."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Swath

pytestmark = pytest.mark.xdist_group("client-server")

SCENE, TRAINED = "SCENE", "TRAINED"
INFER = ("infer", SCENE, "--trainrun", TRAINED)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("ls", "no/such"), "nothing at 'no/such'"),
        (("rm", "no/file"), "nothing at 'no/file'"),
        (("rm", "-r", "no"), "nothing at 'no'"),
        (("nodes", "--category", "modell"), "no class is of the category 'modell'; categories are loss, metric, model"),
        (("nodes", "--tag", "anomlay"), "no class has the tag 'anomlay'; tags are anomaly"),
        (("nodes", "NoNode"), "Unknown node class 'NoNode'"),
        (("pipeline", "list", "--tag", "tinny"), "no pipeline has the tag 'tinny'; tags are anomaly"),
        (("pipeline", "show", "tiny/rxx"), "Pipeline 'tiny/rxx.yaml' not found"),
        (("train", "tiny_rxx"), "'trainrun/tiny_rxx' not found"),
        (("train", "tiny_rx", "data.params.pth=x.npz"), "data.params.pth=x.npz"),
        (("train", "tiny_rx", "data.params.path=data/nothing.npz"), "scene file 'data/nothing.npz' does not exist"),
        (("train", "tiny_rx", "data.data_module=scen"), "no plugin provides data module 'scen'; available: ["),
        (("train", "tiny_rx", "--upload", "/no/such/file"), "no such file or folder: /no/such/file"),
        (("infer", SCENE, "--trainrun", "runs/no.yaml"), "no such file: 'runs/no.yaml'"),
        (("infer", SCENE, "--session", "nosession"), "Session nosession not found"),
        ((*INFER, "--port", "score"), "the pipeline has no output 'score'; it has data.cube"),
        ((*INFER, "--port", "rxx.scores"), "the pipeline has no output 'rxx.scores'; it has "),
        ((*INFER, "--cube-key", "cub"), "expected an array 'cub' as cube, got "),
        ((*INFER, "--mask-key", "gtt"), "expected an array 'gtt' as mask, got "),
        ((*INFER, "--wavelengths-key", "wl"), "expected an array 'wl' as wavelengths, got "),
        ((*INFER, "--cube-axes", "HWX"), "cube_axes: expected H, W and C"),
        (("restore", "runs/no.yaml"), "no such file: 'runs/no.yaml'"),
        (("restore", TRAINED, "--weights", "no.pt"), "no such file: 'no.pt'"),
        (("logs", "norun"), "Run norun not found"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_there_is_none_of_is_an_error(
    swath: Swath, trained: str, scene: Path, arguments: tuple[str, ...], words: str
) -> None:
    done = swath(*({SCENE: str(scene), TRAINED: trained}.get(each, each) for each in arguments))
    assert done.exit_code == 1, done.output
    assert words in " ".join(done.stderr.split())
