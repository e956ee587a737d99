from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from swath.documents import PipelineDocument
from swath.engine.graph.pipeline import Pipeline

Nodes = dict[str, list[Any]]
Parts = Callable[[Nodes, list[str]], PipelineDocument]


def _document(nodes: Nodes, edges: list[str]) -> PipelineDocument:
    def connection(edge: str) -> dict[str, str]:
        (source, output), (target, port) = (end.strip().split(".") for end in edge.split(">"))
        return {"source": f"{source}.outputs.{output}", "target": f"{target}.inputs.{port}"}

    return PipelineDocument.model_validate(
        {
            "nodes": [
                {"name": name, "class_name": entry[0], "hparams": entry[1] if len(entry) > 1 else {}}
                for name, entry in nodes.items()
            ],
            "connections": [connection(edge) for edge in edges],
        }
    )


@pytest.fixture
def document() -> Parts:
    """Nodes as ``name: [class, hparams]`` and edges as ``node.port > node.port``, made into a document."""
    return _document


@pytest.fixture
def build() -> Callable[[Nodes, list[str]], Pipeline]:
    """As `document`, and built."""
    return lambda nodes, edges: Pipeline.from_document(_document(nodes, edges))


@pytest.fixture(scope="session")
def parity() -> dict[str, PipelineDocument]:
    """The six shipped pipelines of the reference package that need no plugin."""
    entries = yaml.safe_load((Path(__file__).parent / "parity.yaml").read_text())
    return {name: _document(entry["nodes"], entry["edges"]) for name, entry in entries.items()}
