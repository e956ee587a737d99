"""Code of plugins: what may run, where it comes from, and what it must not replace."""

import subprocess

import pytest
import torch

from swath.documents import NodeDocument, PluginSource, SealedPipeline, sources_of
from swath.engine import data
from swath.engine.nodes.anomaly.rx_detector import RXGlobal
from swath.engine.plugins.checkout import checkout
from swath.engine.plugins.loading import Plugins
from swath.engine.plugins.pipelines import build_pipeline
from swath.engine.plugins.settings import PluginSettings
from swath.errors import DependencyMissing, GraphInvalid, InvalidInput, PluginDenied, Precondition

OFFSET = "acme_nodes.nodes.Offset"


def _source(folder, *nodes, **fields):
    return PluginSource(name="acme", path=str(folder), nodes=list(nodes), **fields)


def _document(*sources, class_name=OFFSET, **hparams):
    node = NodeDocument(name="a", class_name=class_name, hparams=hparams)
    return SealedPipeline(nodes=[node], sources=list(sources))


def test_a_node_of_a_plugin_runs_in_a_pipeline(allowed):
    pipeline = build_pipeline(_document(_source(allowed, OFFSET), by=2.0))
    shifted = pipeline({"data": torch.ones(1, 2, 2, 3)})["a.shifted"]
    assert torch.equal(shifted, torch.full((1, 2, 2, 3), 3.0))


def test_a_pipeline_keeps_its_plugins_in_its_document(allowed):
    pipeline = build_pipeline(_document(_source(allowed, OFFSET)))
    document = pipeline.document()
    assert sources_of(document)[0].path == str(allowed)
    assert document.nodes[0].class_name == OFFSET
    assert document.nodes[0].hparams == {"by": 1.0}


def test_a_plugin_that_is_not_allowed_is_refused_by_the_setting_s_name(folder):
    plugins = Plugins([_source(folder, OFFSET)], PluginSettings(plugins=("/somewhere/else",)))
    with pytest.raises(PluginDenied, match="SWATH_PLUGINS"):
        plugins.node(OFFSET, named=False)


@pytest.mark.parametrize("way", ["dots", "link"])
def test_no_path_leads_out_of_what_is_allowed(folder, tmp_path, way):
    inside = tmp_path / "allowed"
    inside.mkdir()
    (inside / "link").symlink_to(folder)
    path = inside / "link" if way == "link" else f"{inside}/../{folder.name}"
    assert not PluginSettings(plugins=(str(inside),)).allows(_source(path, OFFSET))


@pytest.mark.parametrize(
    ("place", "allowed"),
    [("https://host/a.git", True), ("https://host/a.git@v1", True), ("https://host/a.git@v2", False)],
)
def test_a_repository_is_allowed_for_all_tags_or_for_one(place, allowed):
    source = PluginSource(name="acme", repo="https://host/a.git", tag="v1")
    assert PluginSettings(plugins=(place,)).allows(source) is allowed


def test_the_setting_is_a_list_with_commas(monkeypatch):
    monkeypatch.setenv("SWATH_PLUGINS", "/opt/a, https://host/b.git@v1,")
    assert PluginSettings().plugins == ("/opt/a", "https://host/b.git@v1")


def test_a_class_that_is_built_in_wins_unless_the_pipeline_names_the_plugin(allowed):
    name = "cuvis_ai.node.anomaly.rx_detector.RXGlobal"
    built_in = build_pipeline(_document(_source(allowed, name), class_name=name, num_channels=3))
    assert type(built_in.nodes["a"]) is RXGlobal
    named = _source(allowed, "acme_nodes.nodes.RXGlobal", named=True)
    theirs = build_pipeline(_document(named, class_name="acme_nodes.nodes.RXGlobal"))
    assert type(theirs.nodes["a"]).__module__ == "acme_nodes.nodes"


def test_two_plugins_that_offer_one_class_are_refused(folder, settings):
    plugins = Plugins([_source(folder, OFFSET), _source(folder, OFFSET)], settings)
    with pytest.raises(GraphInvalid, match="offered by plugins"):
        plugins.node(OFFSET, named=False)


def test_a_second_version_of_a_package_is_refused(folder, settings, tmp_path):
    Plugins([_source(folder, OFFSET)], settings).node(OFFSET, named=False)
    (tmp_path / "acme_nodes").mkdir()
    other = Plugins([_source(tmp_path, OFFSET)], PluginSettings(plugins=(str(tmp_path),)))
    with pytest.raises(Precondition, match="one version of a package"):
        other.node(OFFSET, named=False)


def test_a_plugin_replaces_no_package_of_the_server(tmp_path):
    (tmp_path / "json.py").write_text("")
    plugins = Plugins([_source(tmp_path, "json.Node")], PluginSettings(plugins=(str(tmp_path),)))
    with pytest.raises(Precondition, match="is another one here"):
        plugins.node("json.Node", named=False)


@pytest.mark.parametrize(
    ("class_name", "error", "said"),
    [
        ("acme_nodes.broken.Node", DependencyMissing, "a_package_that_nobody_has"),
        ("acme_nodes.none.Node", Precondition, "has no module 'acme_nodes.none'"),
        ("acme_nodes.nodes.Absent", GraphInvalid, "has no Absent"),
        ("acme_nodes.nodes.NOTHING", GraphInvalid, "is no node class"),
        ("another.Node", Precondition, "has no package 'another'"),
    ],
)
def test_what_cannot_be_loaded_says_why(folder, settings, class_name, error, said):
    with pytest.raises(error, match=said):
        Plugins([_source(folder, class_name)], settings).node(class_name, named=False)


def test_frames_of_a_plugin_s_data_module_are_batched(folder, settings, tmp_path):
    (tmp_path / "number").write_text("7")
    plugins = Plugins([_source(folder, data_modules={"numbers": "acme_nodes.nodes.frames"})], settings)
    module = data.build(_numbers(), lambda path: tmp_path / path, seed=0, plugins=plugins)
    (batch,) = module.loader("predict", epoch=0)
    assert torch.equal(batch["cube"], torch.full((1, 2, 2, 3), 7.0))


def test_an_unknown_data_module_lists_those_of_plugins_too(folder, settings, tmp_path):
    plugins = Plugins([_source(folder, data_modules={"others": "acme_nodes.nodes.frames"})], settings)
    with pytest.raises(InvalidInput, match=r"no plugin provides data module 'numbers'.*'others'"):
        data.build(_numbers(), lambda path: tmp_path / path, seed=0, plugins=plugins)


def _numbers():
    from swath.documents import parse

    return parse("data", {"data_module": "numbers", "params": {"path": "number"}})


@pytest.fixture
def repository(folder, tmp_path):
    """A bare repository with the project at tag v1."""
    work, bare = tmp_path / "work", tmp_path / "bare.git"
    run = ["git", "-C", str(work), "-c", "user.name=test", "-c", "user.email=test@example.com"]
    subprocess.run(["git", "init", "-q", str(work)], check=True)
    (work / "repo_nodes.py").write_text((folder / "src" / "acme_nodes" / "nodes.py").read_text())
    for command in (["add", "."], ["commit", "-qm", "first"], ["tag", "v1"], ["branch", "branch"]):
        subprocess.run([*run, *command], check=True)
    subprocess.run(["git", "clone", "-q", "--bare", str(work), str(bare)], check=True)
    return f"file://{bare}"


def test_a_plugin_comes_from_a_tag_of_a_repository(repository, tmp_path):
    source = PluginSource(name="acme", repo=repository, tag="v1", nodes=["repo_nodes.Offset"])
    settings = PluginSettings(plugins=(repository,), plugin_cache=tmp_path / "cache")
    cls = Plugins([source], settings).node("repo_nodes.Offset", named=False)
    assert cls is not None
    assert cls.__name__ == "Offset"


def test_a_tag_is_fetched_once(repository, tmp_path):
    first = checkout(repository, "v1", tmp_path / "cache", 30)
    (tmp_path / "bare.git").rename(tmp_path / "gone.git")
    assert checkout(repository, "v1", tmp_path / "cache", 30) == first
    assert [each.name for each in (tmp_path / "cache").iterdir()] == [first.name]


@pytest.mark.parametrize("tag", ["v2", "branch", "--upload-pack=touch"])
def test_what_is_no_tag_is_refused(repository, tmp_path, tag):
    with pytest.raises(Precondition, match="cannot be fetched"):
        checkout(repository, tag, tmp_path / "cache", 30)
    assert list((tmp_path / "cache").iterdir()) == []
