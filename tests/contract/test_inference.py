"""What Inference gives."""

from pathlib import Path

import numpy as np
import pytest

from swath.client import roc_auc

SCENE = Path(__file__).resolve().parents[2] / "examples" / "data" / "san_diego.npz"


@pytest.fixture(scope="module")
def fitted(deployment):
    """A session with global RX fitted on the whole scene."""
    deployment.client.workspace.put(SCENE, "data/san_diego.npz")
    with deployment.client.session() as session:
        session.set_run_config(session.resolve("trainrun", "trainrun/san_diego_rx"))
        for _ in session.train("statistical"):
            pass
        yield session


def test_global_rx_on_the_real_scene_reaches_the_published_figure(fitted, scene):
    scores = fitted.infer(cube=scene["cube"][None].astype(np.float32), wavelengths=scene["wavelengths"][None])
    assert roc_auc(scores.only("scores"), scene["mask"]) == pytest.approx(0.940, abs=0.001)
