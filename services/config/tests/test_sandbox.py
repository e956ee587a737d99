"""Hydra is an open door: each of its ways out, shut."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from swath.errors import ConfigInvalid, PathDenied, SwathError
from swath.storage.workspace.folder import Workspace
from swath_config.composition import sandbox
from swath_config.composition.sandbox import RESOLVERS

from .conftest import Resolve, Write

GLOBAL = "# @package _global_\nname: x\ndata: {}\n"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file that no client may see."""
    file = tmp_path / "secret.yaml"
    file.write_text("name: secret\ndata: {}\n")
    return file


@pytest.mark.parametrize(
    "expression",
    [
        "${oc.env:HOME}",
        "${oc.env:NOPE,fallback}",
        "${env:HOME}",
        "${hydra:runtime.cwd}",
        "${now:%Y}",
        "${python_version:}",
        "${oc.deprecated:name}",
        "${oc.decode:'${oc.env:HOME}'}",
        "${oc.${name}:HOME}",
    ],
)
def test_resolvers_outside_of_the_list_do_not_exist(compose: Resolve, write: Write, expression: str) -> None:
    OmegaConf.register_new_resolver("now", lambda pattern: "today", replace=True)
    write("configs/trainrun/mine.yaml", GLOBAL.replace("name: x", "name: env") + f'output_dir: "{expression}"\n')

    with pytest.raises(ConfigInvalid, match="Config resolution failed: "):
        compose("trainrun", "trainrun/mine")


@pytest.mark.parametrize("override", ["output_dir=${oc.env:HOME}", "output_dir='${oc.env:HOME}'"])
def test_overrides_reach_no_environment_either(compose: Resolve, write: Write, override: str) -> None:
    write("configs/trainrun/mine.yaml", GLOBAL)

    with pytest.raises(ConfigInvalid, match=r"Unsupported interpolation type oc\.env"):
        compose("trainrun", "trainrun/mine", override)


def test_an_environment_variable_in_a_defaults_list(compose: Resolve, write: Write) -> None:
    write("configs/trainrun/mine.yaml", "defaults:\n- /data@data: ${oc.env:USER}\n- _self_\nname: x\n")

    with pytest.raises(ConfigInvalid, match=r"Unsupported interpolation type oc\.env"):
        compose("trainrun", "trainrun/mine")


def test_resolvers_that_see_the_configuration_alone_work(compose: Resolve, write: Write) -> None:
    write("configs/trainrun/mine.yaml", GLOBAL + "tags: {a: '1'}\noutput_dir: ${oc.select:nope,out}\n")

    assert compose("trainrun", "trainrun/mine")["output_dir"] == "out"
    assert all(OmegaConf.has_resolver(name) for name in RESOLVERS)


@pytest.mark.parametrize(
    "override",
    [
        "hydra.run.dir=/tmp/x",
        "+hydra.searchpath=[file:///etc]",
        "hydra.searchpath=[pkg://hydra.conf]",
        "hydra/launcher=basic",
        "+hydra/job_logging=default",
        "hydra/launcher@hydra.launcher=basic",
        "++hydra.job.chdir=true",
        "~hydra",
        "data@hydra=lentils",
        "hydra={run: {dir: x}}",
        "hydra[run].dir=x",
    ],
)
def test_hydras_own_settings_are_not_for_clients(compose: Resolve, write: Write, override: str) -> None:
    write("configs/trainrun/mine.yaml", GLOBAL)

    with pytest.raises(ConfigInvalid, match="Hydra's own settings are not for clients"):
        compose("trainrun", "trainrun/mine", override)


@pytest.mark.parametrize(
    "lines",
    ["hydra: {searchpath: ['file:///etc']}", "hydra: {searchpath: ['pkg://hydra.conf']}", "hydra.searchpath: [x]"],
)
def test_a_file_adds_no_search_paths(compose: Resolve, write: Write, lines: str) -> None:
    write("configs/trainrun/mine.yaml", f"{GLOBAL}{lines}\n")

    with pytest.raises(ConfigInvalid, match="search paths are set by SetSessionSearchPaths"):
        compose("trainrun", "trainrun/mine")


@pytest.mark.parametrize(
    "entry", ["/hydra/config", "/hydra/launcher: basic", "pkg://hydra.conf", "/hydra/job_logging@x: default"]
)
def test_python_packages_are_no_source(compose: Resolve, write: Write, entry: str) -> None:
    write("configs/trainrun/mine.yaml", f"# @package _global_\ndefaults:\n- {entry}\n- _self_\nname: x\ndata: {{}}\n")

    with pytest.raises(ConfigInvalid, match=r"Could not (load|find)"):
        compose("trainrun", "trainrun/mine")


def test_a_name_does_not_climb_out(compose: Resolve, secret: Path) -> None:
    with pytest.raises(PathDenied):
        compose("trainrun", "../../secret")


def test_an_absolute_name_outside_of_the_allowed_roots(compose: Resolve, secret: Path) -> None:
    with pytest.raises(PathDenied):
        compose("trainrun", str(secret))


def test_a_search_path_outside_of_the_allowed_roots(compose: Resolve, secret: Path) -> None:
    with pytest.raises(PathDenied):
        compose("trainrun", "secret", search_paths=(str(secret.parent),))


@pytest.mark.parametrize(
    "entry", ["../../../secret", "/../../secret", "/data@data: ../../../secret", "/data/../../../secret"]
)
def test_a_defaults_entry_does_not_climb_out(compose: Resolve, write: Write, secret: Path, entry: str) -> None:
    write("configs/trainrun/mine.yaml", f"# @package _global_\ndefaults:\n- {entry}\n- _self_\nname: x\n")

    with pytest.raises(PathDenied, match="leads out of the allowed folders"):
        compose("trainrun", "trainrun/mine")


def test_a_group_override_does_not_climb_out(compose: Resolve, secret: Path) -> None:
    with pytest.raises(PathDenied):
        compose("trainrun", "trainrun/rx_statistical", "data=../../../secret")


def test_a_named_pipeline_does_not_climb_out(compose: Resolve, write: Write, secret: Path) -> None:
    write("configs/trainrun/mine.yaml", GLOBAL + "pipeline: ../../../secret.yaml\n")

    with pytest.raises(PathDenied):
        compose("trainrun", "trainrun/mine", "pipeline.nodes.0.name=x")


def test_symbolic_links_are_judged_by_where_they_lead(
    compose: Resolve, write: Write, workspace: Workspace, secret: Path
) -> None:
    file = write("configs/trainrun/mine.yaml", "# @package _global_\ndefaults:\n- link\n- _self_\nname: x\n")
    os.symlink(secret, file.with_name("link.yaml"))
    os.symlink(secret.parent, workspace.root / "folder")

    for path in ("trainrun/link", "trainrun/mine"):
        with pytest.raises(PathDenied):
            compose("trainrun", path)
    with pytest.raises(PathDenied):
        compose("trainrun", "secret", search_paths=("folder",))


def test_a_secret_is_no_data_even_when_it_is_no_yaml(compose: Resolve, write: Write) -> None:
    write(
        "configs/trainrun/mine.yaml", "defaults:\n- /data@data: ../../../../../../../../etc/passwd\n- _self_\nname: x\n"
    )

    with pytest.raises(PathDenied):
        compose("trainrun", "trainrun/mine")


def laughs(width: int, levels: int, join: str) -> str:
    lines = ["params:", "  a0: xxxxxxxxxx"]
    for level in range(1, levels):
        references = join.join([f"${{data.params.a{level - 1}}}"] * width)
        lines.append(f"  a{level}: {references}" if not join else f"  a{level}: ['{references}']")
    return "\n".join(lines)


@pytest.mark.parametrize("join", ["", "', '"], ids=["text", "lists"])
@pytest.mark.parametrize("backwards", [False, True])
def test_interpolations_cannot_blow_up(
    compose: Resolve, write: Write, monkeypatch: pytest.MonkeyPatch, join: str, backwards: bool
) -> None:
    monkeypatch.setattr(sandbox, "MAX_REFERENCES", 300)  # the real limit takes seconds to reach
    head, *levels = laughs(10, 10, join).splitlines()
    write("configs/data/mine.yaml", "\n".join([head, *(reversed(levels) if backwards else levels)]))

    with pytest.raises(ConfigInvalid, match=r"expand too far|too deeply"):
        compose("data", "data/mine")


def test_many_plain_references_are_fine(compose: Resolve, write: Write) -> None:
    lines = "\n".join(f"  a{number}: ${{data.batch_size}}" for number in range(2_000))
    write("configs/data/mine.yaml", f"batch_size: 2\nparams:\n{lines}")

    assert compose("data", "data/mine")["params"]["a1999"] == 2


def test_a_chain_of_references_without_end(compose: Resolve, write: Write) -> None:
    lines = "\n".join(f"  a{number}: ${{data.params.a{number + 1}}}" for number in range(3_000))
    write("configs/data/mine.yaml", f"params:\n{lines}\n  a3000: 1")

    with pytest.raises(ConfigInvalid, match="Config resolution failed: "):
        compose("data", "data/mine")


def test_aliases_cannot_blow_up(compose: Resolve, write: Write) -> None:
    levels = "".join(f"  a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 9))
    write("configs/data/mine.yaml", f"params:\n  a0: &a0 [x]\n{levels}")

    with pytest.raises(ConfigInvalid, match="values with its aliases"):
        compose("data", "data/mine")


def test_a_file_that_is_too_large(compose: Resolve, write: Write) -> None:
    write("configs/data/mine.yaml", "#" * (1024 * 1024 + 1))

    with pytest.raises(ConfigInvalid, match=r"data/mine\.yaml is larger than 1048576 bytes"):
        compose("data", "data/mine")


def test_nesting_without_end(compose: Resolve, write: Write) -> None:
    write("configs/data/mine.yaml", "params: " + "[" * 50_000)

    with pytest.raises(ConfigInvalid, match="nested deeper than 100"):
        compose("data", "data/mine")


def test_defaults_lists_cannot_blow_up(compose: Resolve, write: Write) -> None:
    for level in range(12):
        entries = "\n".join(f"- c{level + 1}@p{number}" for number in range(4))
        write(f"configs/data/c{level}.yaml", f"defaults:\n{entries}\n")
    write("configs/data/c12.yaml", "x: 1")

    with pytest.raises(SwathError, match="defaults lists name more than 1000 files"):
        compose("data", "data/c0")


def test_code_in_yaml_is_not_run(compose: Resolve, write: Write, tmp_path: Path) -> None:
    write("configs/data/mine.yaml", f"params: !!python/object/apply:os.mkdir ['{tmp_path}/made']")

    with pytest.raises(ConfigInvalid, match="could not determine a constructor"):
        compose("data", "data/mine")
    assert not (tmp_path / "made").exists()


def test_targets_are_data_and_not_instantiated(compose: Resolve, write: Write) -> None:
    write("configs/data/mine.yaml", "params: {_target_: os.system, command: 'false'}")

    assert compose("data", "data/mine")["params"] == {"_target_": "os.system", "command": "false"}
