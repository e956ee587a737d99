"""Configs that a tool delivers by links, which it points somewhere else while the server runs."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from swath.client import build_stub
from swath.cuvis_ai.v1 import cuvis_ai_pb2 as pb
from swath.cuvis_ai.v1.cuvis_ai_pb2_grpc import CuvisAIServiceStub
from swath_standalone.process import ServerProcess


def _revision(folder: Path, name: str, *more: str) -> Path:
    for path in ("pipeline/p.yaml", *more):
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"metadata: {{name: {name}}}\nnodes: []\nconnections: []\n")
    return folder


def _point(link: Path, target: str) -> None:
    """Have a link lead somewhere, in one step."""
    new = link.with_name("..new")
    new.symlink_to(target)
    os.replace(new, link)


@dataclass(frozen=True)
class Delivery:
    """Configs that a tool delivers.

    Attributes:
        configs: The configs root that the server was given.
        deliver: Brings the next revision and removes the one before.
        stub: Calls the server.
    """

    configs: Path
    deliver: Callable[[], None]
    stub: CuvisAIServiceStub

    def search(self, session: str, paths: list[str], *, append: bool = True) -> list[str]:
        """Set search paths and return what they are now."""
        request = pb.SetSessionSearchPathsRequest(session_id=session, search_paths=paths, append=append)
        return list(self.stub.SetSessionSearchPaths(request).current_paths)


@pytest.fixture(params=["git-sync", "ConfigMap"])
def delivery(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Delivery]:
    """A server whose configs root is a link, or a folder of links that lead through one link."""
    configs = tmp_path / "configs"
    if request.param == "git-sync":
        _revision(tmp_path / "first", "first")
        configs.symlink_to("first")

        def deliver() -> None:
            _revision(tmp_path / "second", "second", "pipeline/deep/q.yaml")
            _point(configs, "second")
            shutil.rmtree(tmp_path / "first")
    else:
        _revision(configs / "..first", "first")
        (configs / "..data").symlink_to("..first")
        (configs / "pipeline").symlink_to("..data/pipeline")

        def deliver() -> None:
            _revision(configs / "..second", "second", "pipeline/deep/q.yaml")
            _point(configs / "..data", "..second")
            shutil.rmtree(configs / "..first")

    with ServerProcess(tmp_path / "state", environment={"SWATH_CONFIGS": str(configs)}) as running:
        yield Delivery(configs, deliver, build_stub(running.target))


@dataclass(frozen=True)
class Searching:
    """A session with search paths.

    Attributes:
        id: The session.
        given: The search paths that it was given.
        path: How the pipeline is called there.
    """

    id: str
    given: list[str]
    path: str


@pytest.fixture
def sessions(delivery: Delivery) -> list[Searching]:
    """Sessions that were opened before anything is delivered."""
    configs, made = str(delivery.configs), []
    for given, path in (
        ([], "pipeline/p"),
        ([configs], "pipeline/p"),
        ([f"{configs}/pipeline"], "p"),
        (["pipeline"], "p"),
    ):
        session = delivery.stub.CreateSession(pb.CreateSessionRequest()).session_id
        if given:
            delivery.search(session, given, append=False)
        made.append(Searching(session, given, path))
    return made


def test_what_was_delivered_last_is_what_there_is(delivery, sessions):
    stub = delivery.stub

    def listed() -> list[tuple[str, str]]:
        answer = stub.ListAvailablePipelines(pb.ListAvailablePipelinesRequest())
        return [(each.pipeline_path, each.metadata.name) for each in answer.pipelines]

    def described() -> str:
        request = pb.GetPipelineInfoRequest(pipeline_path="p.yaml")
        return yaml.safe_load(stub.GetPipelineInfo(request).pipeline_info.yaml_content)["metadata"]["name"]

    def resolved(session: Searching) -> str:
        request = pb.ResolveConfigRequest(session_id=session.id, config_type="pipeline", path=session.path)
        return json.loads(stub.ResolveConfig(request).config_bytes)["metadata"]["name"]

    assert listed() == [("p.yaml", "first")]
    assert (described(), {resolved(each) for each in sessions}) == ("first", {"first"})
    delivery.deliver()
    assert listed() == [("deep/q.yaml", "second"), ("p.yaml", "second")]
    assert (described(), {resolved(each) for each in sessions}) == ("second", {"second"})
    for session in sessions:
        # Search paths are named as they are now, each once.
        expected = [os.path.realpath(delivery.configs / each) for each in (*(session.given or ["."]), "pipeline")]
        assert delivery.search(session.id, ["pipeline"]) == list(dict.fromkeys(expected))
