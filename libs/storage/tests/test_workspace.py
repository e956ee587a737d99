"""What paths mean, and where they may not lead."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swath.errors import FileMissing, InvalidInput, PathDenied, StorageRefused, SwathError
from swath.storage import Base, Workspace
from swath.storage.opening import workspace_from_spec
from swath.storage.workspace.bucket import BucketWorkspace


def put(workspace: Workspace, name: str, text: str = "own") -> Path:
    """Bring a file to the workspace as any tool would, and return where it is, or will be, on this machine."""
    if isinstance(workspace, BucketWorkspace):
        workspace.bucket.put(name, text.encode())
        return workspace.root / name
    file = workspace.root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_relative_paths_start_at_the_root(workspace: Workspace) -> None:
    assert workspace.resolve("data/scene.npz") == workspace.root / "data/scene.npz"


def test_pipelines_start_at_the_configs_folder_of_the_workspace(workspace: Workspace) -> None:
    assert workspace.resolve("mine.yaml", base=Base.PIPELINES) == workspace.root / "configs/pipeline/mine.yaml"


def test_reading_configs_falls_back_to_the_shipped_layer(workspace: Workspace) -> None:
    assert workspace.resolve("configs/pipeline/rx.yaml") == workspace.configs / "pipeline/rx.yaml"
    assert workspace.resolve("rx.yaml", base=Base.PIPELINES) == workspace.configs / "pipeline/rx.yaml"
    assert workspace.resolve("pipeline/rx.yaml", base=Base.CONFIGS) == workspace.configs / "pipeline/rx.yaml"


def test_the_own_layer_hides_the_shipped_one(workspace: Workspace) -> None:
    own = put(workspace, "configs/pipeline/rx.yaml")
    assert workspace.resolve("configs/pipeline/rx.yaml") == own


def test_writing_configs_goes_to_the_own_layer(workspace: Workspace) -> None:
    written = workspace.write("rx.yaml", b"mine", base=Base.PIPELINES)
    assert written == workspace.root / "configs/pipeline/rx.yaml"
    assert workspace.resolve("rx.yaml", base=Base.PIPELINES).read_bytes() == b"mine"
    assert (workspace.configs / "pipeline/rx.yaml").read_text() == "shipped"


def test_absolute_paths_are_taken_inside_the_allowed_roots(workspace: Workspace) -> None:
    for inside in (workspace.root / "a", workspace.configs / "pipeline/rx.yaml", workspace.allow_roots[0] / "b"):
        assert workspace.resolve(str(inside)) == inside


@pytest.mark.parametrize(
    "path",
    [
        "../outside/secret",
        "data/../../outside/secret",
        "configs/../../outside/secret",
        "/etc/passwd",
        "//etc/passwd",
        "/proc/self/root/etc/passwd",
        "a\0b",
        "n" * 256,
        "/".join(["n" * 200] * 30),
        ".swath-uploads/x",
        "data/.swath-1",
    ],
)
@pytest.mark.parametrize("base", Base)
def test_doors(workspace: Workspace, path: str, base: Base) -> None:
    with pytest.raises(PathDenied):
        workspace.resolve(path, base=base)
    with pytest.raises(PathDenied):
        workspace.resolve(path, base=base, write=True)


def test_neighbours_with_the_same_beginning_are_outside(workspace: Workspace) -> None:
    with pytest.raises(PathDenied):
        workspace.resolve(f"{workspace.root}-2/file")


def test_symlinks_that_lead_out_are_refused(in_folder: Workspace, tmp_path: Path) -> None:
    (in_folder.root / "door").symlink_to(tmp_path / "outside")
    (in_folder.root / "key").symlink_to(tmp_path / "outside" / "secret")
    for path in ("door", "door/secret", "door/new", "key"):
        with pytest.raises(PathDenied):
            in_folder.resolve(path)


def test_symlinks_that_stay_are_followed(in_folder: Workspace) -> None:
    (in_folder.root / "data").symlink_to(in_folder.allow_roots[0])
    assert in_folder.resolve("data/x") == in_folder.allow_roots[0] / "x"


def test_symlinks_in_a_circle_lead_nowhere(in_folder: Workspace) -> None:
    (in_folder.root / "a").symlink_to(in_folder.root / "b")
    (in_folder.root / "b").symlink_to(in_folder.root / "a")
    with pytest.raises(FileMissing):
        in_folder.find("a/x")


def test_shipped_configs_are_never_written(workspace: Workspace) -> None:
    with pytest.raises(PathDenied, match=r"ship with the server.*configs/pipeline/rx.yaml"):
        workspace.write(str(workspace.configs / "pipeline/rx.yaml"), b"")


def test_shipped_configs_stay_shipped_inside_an_allowed_folder(tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    workspace = Workspace(tmp_path / "state" / "root", tmp_path / "configs", [tmp_path])
    assert workspace.write(str(tmp_path / "results.yaml"), b"").exists()
    with pytest.raises(PathDenied, match="ship with the server"):
        workspace.write(str(tmp_path / "configs" / "results.yaml"), b"")


def test_outputs_of_nodes_may_hold_dots_that_stay(workspace: Workspace) -> None:
    outputs = workspace.outputs()
    assert workspace.shown(outputs.resolve("runs/1/../2/log")) == workspace.shown(workspace.root / "runs/2/log")
    for path in ("runs/../../x", "../x", "/etc/x", str(workspace.configs / "x")):
        with pytest.raises(PathDenied):
            outputs.resolve(path)


def test_an_empty_path_is_a_mistake(workspace: Workspace) -> None:
    with pytest.raises(InvalidInput):
        workspace.resolve("")


names = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(["..", ".", "door", "configs"])


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(names, max_size=6), base=st.sampled_from(Base), absolute=st.booleans(), write=st.booleans())
def test_no_path_at_all_leads_out(
    in_folder: Workspace, parts: list[str], base: Base, absolute: bool, write: bool
) -> None:
    door = in_folder.root / "door"
    if not door.is_symlink():
        door.symlink_to(in_folder.root.parent / "outside")
    path = f"{in_folder.root}/" * absolute + "/".join(parts)
    try:
        real = in_folder.resolve(path, base=base, write=write)
    except SwathError:
        return
    homes = [in_folder.root, *in_folder.allow_roots] + [in_folder.configs] * (not write)
    assert any(Path(os.path.realpath(real)).is_relative_to(home) for home in homes)


class TestSearchDirs:
    @pytest.mark.parametrize("path", [".", "configs", "configs/", "./configs"])
    def test_the_configs_root_means_both_layers(self, workspace: Workspace, path: str) -> None:
        assert workspace.search_dirs(path) == (workspace.configs,)
        put(workspace, "configs/pipeline/own.yaml")
        assert workspace.search_dirs(path) == workspace.config_roots

    def test_so_do_folders_below_it_and_absolute_paths_to_either_layer(self, workspace: Workspace) -> None:
        put(workspace, "configs/pipeline/own.yaml")
        both = tuple(root / "pipeline" for root in workspace.config_roots)
        for path in ("pipeline", "configs/pipeline", *map(str, both)):
            assert workspace.search_dirs(path) == both

    def test_other_folders_are_tried_under_the_root(self, workspace: Workspace) -> None:
        put(workspace, "study/x.yaml")
        assert workspace.search_dirs("study") == (workspace.root / "study",)
        assert workspace.search_dirs(str(workspace.allow_roots[0])) == workspace.allow_roots

    def test_files_and_nothing_are_no_folders(self, workspace: Workspace) -> None:
        put(workspace, "file")
        assert workspace.search_dirs("file") == ()
        assert workspace.search_dirs("missing") == ()

    def test_outside_is_denied(self, workspace: Workspace) -> None:
        for path in ("..", "/etc", str(workspace.root.parent)):
            with pytest.raises(PathDenied):
                workspace.search_dirs(path)

    def test_a_whole_search_path_has_each_folder_once(self, workspace: Workspace) -> None:
        dirs = workspace.search_path(["pipeline", str(workspace.configs / "pipeline"), "gone", "."])
        assert dirs == (workspace.configs / "pipeline", workspace.configs)
        assert workspace.search_path([]) == (workspace.configs,)


class TestFind:
    def test_looks_in_the_search_paths_first(self, workspace: Workspace) -> None:
        put(workspace, "rx.yaml")
        assert workspace.find("rx.yaml", ["pipeline"]) == workspace.configs / "pipeline/rx.yaml"
        assert workspace.find("rx.yaml") == workspace.root / "rx.yaml"

    def test_says_where_it_looked(self, workspace: Workspace) -> None:
        with pytest.raises(FileMissing) as raised:
            workspace.find("weights.pt", ["pipeline"])
        assert workspace.shown(workspace.configs / "pipeline/weights.pt") in raised.value.message
        assert workspace.shown(workspace.root / "weights.pt") in raised.value.message


def test_a_worker_rebuilds_the_workspace(workspace: Workspace) -> None:
    again = workspace_from_spec(json.loads(json.dumps(workspace.spec())))
    assert again.spec() == workspace.spec()


def test_names_are_relative_where_they_can_be(workspace: Workspace) -> None:
    assert workspace.name(workspace.root / "data/x") == "data/x"
    assert workspace.name(workspace.configs / "pipeline/rx.yaml") == "configs/pipeline/rx.yaml"
    assert workspace.name(workspace.allow_roots[0] / "x") == str(workspace.allow_roots[0] / "x")


class TestWrite:
    def test_parents_are_made_and_nothing_else_is_left(self, workspace: Workspace) -> None:
        workspace.write("a/b/c", b"1")
        workspace.write("a/b/c", b"22")
        assert {path: file.read_bytes() for path, file in workspace.files("a", content=("c",)).items()} == {
            "b/c": b"22"
        }

    def test_below_a_file_or_over_a_folder_is_a_mistake(self, workspace: Workspace) -> None:
        workspace.write("a/b", b"1")
        for path in ("a", "a/b/c"):
            with pytest.raises(InvalidInput):
                workspace.write(path, b"2")

    def test_no_room_keeps_the_old_file(self, in_folder: Workspace, little_room: int) -> None:
        target = in_folder.write("a/b", b"old")
        with pytest.raises(StorageRefused, match="no room"):
            in_folder.write("a/b", bytes(little_room + 1))
        assert [each.read_bytes() for each in target.parent.iterdir()] == [b"old"]


def test_roots_are_resolved_at_each_use(tmp_path: Path) -> None:
    for name in ("first", "second"):
        for root in ("configs", "workspace", "data"):
            (tmp_path / name / root / "pipeline").mkdir(parents=True)
            (tmp_path / name / root / "pipeline" / "p.yaml").write_text(f"{name} {root}")
    link = tmp_path / "current"
    link.symlink_to("first")
    space = Workspace(link / "workspace", link / "configs", [link / "data"])
    copy = workspace_from_spec(json.loads(json.dumps(space.local_spec())))
    for name in ("first", "second"):
        if name == "second":
            (tmp_path / "new").symlink_to("second")
            os.replace(tmp_path / "new", link)
        for each in (space, copy):
            assert each.resolve("p.yaml", base=Base.PIPELINES).read_text() == f"{name} configs"
            assert each.resolve("pipeline/p.yaml").read_text() == f"{name} workspace"
            assert each.resolve(str(link / "data/pipeline/p.yaml")).read_text() == f"{name} data"
            assert each.name(tmp_path / name / "configs" / "pipeline") == "configs/pipeline"
    # What the links led to before is no part of the workspace any more.
    with pytest.raises(PathDenied):
        space.resolve(str(tmp_path / "first/data/pipeline/p.yaml"))


def test_a_look_up_is_repeated_when_a_root_was_pointed_elsewhere_meanwhile(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    link = tmp_path / "configs"
    link.symlink_to("first")
    space = Workspace(tmp_path / "root", link)
    looks = []

    def look() -> str:
        looks.append(space.configs.name)
        if len(looks) == 1:
            (tmp_path / "new").symlink_to("second")
            os.replace(tmp_path / "new", link)
            raise FileMissing("the old file is gone")
        return looks[-1]

    assert space.steadily(look) == "second"
    assert looks == ["first", "second"]

    def fail() -> str:
        raise FileMissing("never there")

    with pytest.raises(FileMissing):
        space.steadily(fail)


def test_links_to_folders_are_listed_but_neither_in_circles_nor_outside(tmp_path: Path) -> None:
    configs = tmp_path / "configs"
    (configs / "..2026" / "deep").mkdir(parents=True)
    (configs / "..2026" / "deep" / "a.yaml").write_text("")
    (configs / "..data").symlink_to("..2026")
    (configs / "deep").symlink_to("..data/deep")
    (configs / "..2026" / "deep" / "circle").symlink_to("..")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.yaml").write_text("")
    (configs / "out").symlink_to(tmp_path / "outside")
    space = Workspace(tmp_path / "root", configs)
    found = space.files(".", base=Base.CONFIGS)
    assert {path for path in found if "circle" not in path} == {"deep/a.yaml"}
    assert len(found) <= 2
