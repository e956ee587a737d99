"""A small package of somebody else's, with nodes and a data module."""

from __future__ import annotations

from pathlib import Path

import pytest

from swath.engine.plugins.settings import PluginSettings

NODES = '''
import torch
from swath.engine.graph.node import Node
from swath.engine.graph.roles import Fittable
from swath.engine.graph.ports import Port, ports

CUBE = Port(torch.float32, (-1, -1, -1, -1), description="Cube [B, H, W, C]")


class Offset(Node):
    """Adds a number."""

    inputs = ports(data=CUBE)
    outputs = ports(shifted=CUBE)

    def __init__(self, by: float = 1.0) -> None:
        super().__init__()
        self.by = by

    def run(self, inputs, context):
        return {"shifted": inputs["data"] + self.by}


class RXGlobal(Offset):
    """Has the name of a class that is built in."""


def frames(doc, resolve):
    from swath.engine.data.collection import Collection, Sample
    from swath.engine.data.params import LoaderParams

    file = resolve(doc.params["path"])
    return Collection((Sample("one", None, file),), read), LoaderParams()


def read(sample):
    import numpy as np

    return {"cube": np.full((2, 2, 3), float(sample.file.read_text()), np.float32)}


NOTHING = 1
'''


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with its package below src."""
    project = tmp_path_factory.mktemp("acme-project")
    package = project / "src" / "acme_nodes"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "nodes.py").write_text(NODES)
    (package / "broken.py").write_text("import a_package_that_nobody_has\n")
    return project


@pytest.fixture
def settings(folder: Path, tmp_path: Path) -> PluginSettings:
    """Settings that allow that project."""
    return PluginSettings(plugins=(str(folder),), plugin_cache=tmp_path / "cache")


@pytest.fixture
def allowed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """That project, allowed by the environment."""
    monkeypatch.setenv("SWATH_PLUGINS", str(folder))
    return folder
