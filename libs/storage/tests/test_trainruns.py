"""Which file a trainrun means by its pipeline: the one rule, place by place."""

from __future__ import annotations

from pathlib import Path

import pytest

from swath.errors import ConfigNotFound, FileMissing, PathDenied
from swath.storage import Workspace
from swath.storage.workspace.trainruns import find_pipeline, saved_pipeline

from .test_workspace import put

RUN = "study/runs/run.yaml"
"""The trainrun; the session searches `mine` and then the configs root."""

# Every place that the name `rx.yaml` may mean, in the order in which they are looked through. `shipped:` is the layer
# that ships with the server.
PLACES = [
    "study/runs/rx.yaml",
    "study/rx.yaml",
    "mine/rx.yaml",
    "configs/rx.yaml",
    "shipped:rx.yaml",
    "mine/pipeline/rx.yaml",
    "configs/pipeline/rx.yaml",
    "shipped:pipeline/rx.yaml",
    "rx.yaml",
    "study/runs/run_pipeline.yaml",
]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "rx.yaml").write_text("secret")
    workspace = Workspace(tmp_path / "root", tmp_path / "shipped")
    put(workspace, RUN)
    put(workspace, "mine/other.yaml")
    (workspace.root / "configs").mkdir()
    return workspace


def place(workspace: Workspace, name: str) -> Path:
    """Return the file that a row of a table names."""
    return workspace.configs / name[8:] if name.startswith("shipped:") else workspace.root / name


def write(workspace: Workspace, *names: str) -> None:
    for name in names:
        file = place(workspace, name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("nodes: []")


def found(
    workspace: Workspace, name: str | None, *, run: str | None = RUN, search: tuple[str, ...] = ("mine", ".")
) -> Path:
    trainrun = place(workspace, run) if run is not None else None
    return find_pipeline(workspace, name, workspace.search_path(search), trainrun=trainrun)


@pytest.mark.parametrize("first", range(len(PLACES)), ids=PLACES)
def test_the_first_place_that_has_it_counts(workspace: Workspace, first: int) -> None:
    write(workspace, *PLACES[first:])
    assert found(workspace, "rx.yaml") == place(workspace, PLACES[first])


@pytest.mark.parametrize(
    ("name", "there", "expected"),
    [
        # As the file says it.
        ("../pipeline/rx.yaml", ["study/pipeline/rx.yaml", "pipeline/rx.yaml"], "study/pipeline/rx.yaml"),
        ("../../rx.yaml", ["rx.yaml"], "rx.yaml"),
        ("./rx.yaml", ["study/runs/rx.yaml"], "study/runs/rx.yaml"),
        # A run that was copied without what it names.
        ("../pipeline/rx.yaml", ["configs/pipeline/rx.yaml"], "configs/pipeline/rx.yaml"),
        ("../pipeline/rx.yaml", ["shipped:pipeline/rx.yaml"], "shipped:pipeline/rx.yaml"),
        ("../../gone/rx.yaml", ["study/runs/run_pipeline.yaml"], "study/runs/run_pipeline.yaml"),
        # Without the suffix.
        ("anomaly/rx", ["configs/pipeline/anomaly/rx.yaml"], "configs/pipeline/anomaly/rx.yaml"),
        ("rx", ["study/runs/rx", "study/runs/rx.yaml"], "study/runs/rx"),
        ("rx", ["mine/rx", "study/runs/rx.yaml"], "study/runs/rx.yaml"),
        ("rx.v2", ["mine/rx.v2.yaml"], "mine/rx.v2.yaml"),
        ("rx.yml", ["mine/rx.yml"], "mine/rx.yml"),
        # A folder of that name is no pipeline.
        ("rx", ["study/runs/rx/other.yaml", "mine/rx.yaml"], "mine/rx.yaml"),
        # None at all: what SaveTrainRun wrote.
        (None, ["study/runs/run_pipeline.yaml"], "study/runs/run_pipeline.yaml"),
        ("", ["study/runs/run_pipeline.yaml"], "study/runs/run_pipeline.yaml"),
    ],
)
def test_a_name_in_a_file(workspace: Workspace, name: str | None, there: list[str], expected: str) -> None:
    write(workspace, *there)
    assert found(workspace, name) == place(workspace, expected)


@pytest.mark.parametrize(
    ("name", "there", "expected"),
    [
        ("rx.yaml", PLACES, "mine/rx.yaml"),
        # It was relative to a folder that nobody knows any more.
        ("../pipeline/rx.yaml", ["pipeline/rx.yaml", "configs/pipeline/rx.yaml"], "configs/pipeline/rx.yaml"),
        ("../pipeline/rx", ["shipped:pipeline/rx.yaml"], "shipped:pipeline/rx.yaml"),
        ("../../pipeline/rx.yaml", ["pipeline/rx.yaml"], "pipeline/rx.yaml"),
        ("pipeline/../../pipeline/rx.yaml", ["configs/pipeline/rx.yaml"], "configs/pipeline/rx.yaml"),
    ],
)
def test_a_name_that_came_over_the_wire(workspace: Workspace, name: str, there: list[str], expected: str) -> None:
    write(workspace, *there)
    assert found(workspace, name, run=None) == place(workspace, expected)


@pytest.mark.parametrize("run", ["configs/trainrun/run.yaml", "shipped:trainrun/run.yaml"])
@pytest.mark.parametrize(
    ("there", "expected"),
    [
        (["shipped:pipeline/rx.yaml"], "shipped:pipeline/rx.yaml"),
        (["shipped:pipeline/rx.yaml", "configs/pipeline/rx.yaml"], "configs/pipeline/rx.yaml"),
    ],
)
def test_a_run_of_either_layer_names_pipelines_of_both(
    workspace: Workspace, run: str, there: list[str], expected: str
) -> None:
    write(workspace, run, *there)
    assert found(workspace, "../pipeline/rx.yaml", run=run, search=()) == place(workspace, expected)


def test_an_absolute_name_is_that_file_or_what_was_saved_with_the_run(workspace: Workspace) -> None:
    name = str(workspace.root / "elsewhere" / "rx.yaml")
    write(workspace, "study/runs/run_pipeline.yaml", "mine/rx.yaml")
    assert found(workspace, name) == place(workspace, "study/runs/run_pipeline.yaml")
    write(workspace, "elsewhere/rx.yaml")
    assert found(workspace, name) == Path(name)
    assert found(workspace, name.removesuffix(".yaml"), run=None) == Path(name)


@pytest.mark.parametrize("run", [RUN, None])
@pytest.mark.parametrize("name", ["/outside/rx.yaml", "a\0.yaml", "n" * 300, "link.yaml"])
def test_what_leads_out_of_the_allowed_folders_is_refused(workspace: Workspace, name: str, run: str | None) -> None:
    outside = workspace.root.parent / "outside"
    for folder in ("study/runs", "mine"):
        (workspace.root / folder / "link.yaml").symlink_to(outside / "rx.yaml")
    with pytest.raises(PathDenied):
        found(workspace, name.replace("/outside", str(outside)), run=run)


def test_a_file_climbs_as_far_as_it_may(workspace: Workspace) -> None:
    with pytest.raises(PathDenied):
        found(workspace, "../../../outside/rx.yaml")
    write(workspace, "mine/outside/rx.yaml")
    assert found(workspace, "../../../outside/rx.yaml") == place(workspace, "mine/outside/rx.yaml")


def test_one_that_is_nowhere_says_where_was_looked(workspace: Workspace) -> None:
    with pytest.raises(
        FileMissing, match=r"Pipeline 'rx\.yaml' not found; looked for \['.*/study/runs/rx\.yaml', "
    ) as one:
        found(workspace, "rx.yaml")
    assert one.value.metadata == {"path": "rx.yaml"}
    many = [workspace.root / str(number) for number in range(40)]
    with pytest.raises(ConfigNotFound, match=r"Pipeline 'rx' of trainrun 'it' not found; .* and \d+ more$"):
        find_pipeline(workspace, "rx", many, title="it", error=ConfigNotFound)


def test_a_saved_run_has_its_pipeline_beside_it() -> None:
    assert saved_pipeline(Path("runs/a.yaml")) == Path("runs/a_pipeline.yaml")
