"""The pages of docs/reference that are made from the code have all of it, and variables that are named anywhere."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic_settings import BaseSettings, EnvSettingsSource

from swath import errors as tree
from swath.errors import SwathError
from tools.docs.errors import Errors, Kind
from tools.docs.settings import Group, Settings, nested
from tools.docs.sources import Sources
from tools.docs.words import default_of

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "docs" / "reference"
GENERATED = ("settings.md", "metrics.md", "errors.md")
VARIABLE = re.compile(r"\bSWATH_[A-Z0-9_]*")
# What people read and what sets variables. Tests set more than there is, on purpose.
MENTIONING = (
    "README.md",
    "CONTRIBUTING.md",
    "Makefile",
    "skaffold.yaml",
    "services/Dockerfile",
    "docs",
    "charts",
    "k8s",
)
ELSEWHERE = {
    "SWATH_FUZZ_EXAMPLES": "tests/fuzz/test_methods.py",
    "SWATH_FUZZ_REQUESTS": "tests/fuzz/test_flood.py",
    "SWATH_FUZZ_SEED": "tests/fuzz/test_flood.py",
    "SWATH_PASSWORD": "charts/swath/files/postgres.sh",
    "SWATH_REFERENCE": "libs/engine/tests/plugins/test_reference.py",
}
"""Variables that are no settings of Swath, and the file that reads them."""
_LOADED = """
import importlib, sys
from tools.docs.sources import Sources

for name in Sources().modules:
    importlib.import_module(name)
from pydantic_settings import BaseSettings
from swath.errors import SwathError

def below(kind):
    for each in kind.__subclasses__():
        yield each
        yield from below(each)

for root in (BaseSettings, SwathError):
    print(*sorted({f"{each.__module__}.{each.__name__}" for each in below(root) if "swath" in each.__module__}))
"""


@pytest.fixture(scope="module")
def sources() -> Sources:
    return Sources()


@pytest.fixture(scope="module")
def settings(sources: Sources) -> Settings:
    return Settings(sources)


@pytest.fixture(scope="module")
def groups(settings: Settings) -> list[Group]:
    return list(settings.groups.values())


@pytest.fixture(scope="module")
def kinds(sources: Sources) -> tuple[Kind, ...]:
    return Errors(sources).tree


def _page(name: str) -> str:
    return (PAGES / name).read_text()


def _variables(text: str) -> set[str]:
    """Return the variables that begin the rows of tables."""
    return set(re.findall(r"^\| `(SWATH_\w+)` \|", text, re.MULTILINE))


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


def test_pages_are_up_to_date() -> None:
    done = _run("-m", "tools.docs", "--check")
    assert done.returncode == 0, done.stderr


def test_every_class_that_there_is_was_found(settings: Settings, kinds: tuple[Kind, ...]) -> None:
    done = _run("-c", _LOADED)
    assert done.returncode == 0, done.stderr
    of_settings, of_errors = ({*line.split()} for line in done.stdout.splitlines())
    assert {f"{each.__module__}.{each.__name__}" for each in settings.kinds} == of_settings
    public = {each for each in of_errors if not each.rpartition(".")[2].startswith("_")}
    assert {f"{each.error.__module__}.{each.error.__name__}" for each in kinds[1:]} == public


def test_every_setting_is_on_the_page(groups: list[Group]) -> None:
    there = _variables(_page("settings.md"))
    names = {each.name for group in groups for each in group.settings}
    assert len(names) > 80
    assert names <= there


def test_variables_are_those_that_are_read(groups: list[Group], monkeypatch: pytest.MonkeyPatch) -> None:
    for group in groups:
        for setting in group.settings:
            with monkeypatch.context() as patch:
                patch.setenv(setting.name, "1")
                read = EnvSettingsSource(group.kind)()
            assert [group.kind.model_fields[name].description for name in read] == [setting.field.description]


def test_settings_within_settings_are_read_by_their_own_names(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SWATH_AUTH", "off")
    checked = 0
    for kind in settings.kinds:
        for name, inner in _nested(kind):
            setting = next(each for each in settings.groups[inner].settings if type(each.field.default) in (int, float))
            value = setting.field.default + 1
            with monkeypatch.context() as patch:
                patch.setenv(setting.name, str(value))
                made = getattr(kind(), name)
            assert value in made.model_dump().values()
            checked += 1
    assert checked >= 4


def _nested(kind: type[BaseSettings]) -> Iterator[tuple[str, type[BaseSettings]]]:
    for name in kind.model_fields:
        inner = nested(kind, name)
        if inner is not None:
            yield name, inner


def test_there_is_no_other_source_than_variables(settings: Settings) -> None:
    for kind in settings.kinds:
        config: Any = kind.model_config
        assert not any(config.get(each) for each in ("env_file", "secrets_dir", "toml_file", "yaml_file", "json_file"))
        assert not config.get("case_sensitive")
        assert config.get("extra") == "ignore"


def test_every_setting_says_what_it_is(groups: list[Group]) -> None:
    for group in groups:
        assert group.text, group.kind
        for each in (*group.settings, *(key for keys in group.objects.values() for key in keys)):
            assert each.text.endswith("."), (group.kind, each.name)
            if "computed" in default_of(each.name, each.field):
                assert "default" in each.text, (group.kind, each.name)


def test_programs_read_what_they_are_given(settings: Settings) -> None:
    read = {each.package: {kind.__name__ for kind in each.reads} for each in settings.programs}
    assert {"swath_session", "swath_config", "swath_pipeline", "swath_training", "swath_inference"} <= read.keys()
    assert {"SessionSettings", "ConfigSettings", "TrainingSettings", "InferenceSettings"} <= read["swath_standalone"]
    assert {package for package, names in read.items() if "PluginSettings" in names}.isdisjoint(
        {"swath_session", "swath_config", "swath_gateway"}
    )
    assert "ServerSettings" not in read["swath_gateway"]


def test_every_variable_that_is_named_anywhere_is_on_the_page() -> None:
    known = _variables(_page("settings.md")) | ELSEWHERE.keys()
    for place in _mentioning():
        for name in VARIABLE.findall(place.read_text(errors="ignore")):
            if name.endswith("_"):
                assert any(each.startswith(name) for each in known), f"{place.relative_to(ROOT)}: {name}"
            else:
                assert name in known, f"{place.relative_to(ROOT)}: {name}"


@pytest.mark.parametrize("name", ELSEWHERE)
def test_what_is_no_setting_is_read_where_it_is_said(name: str) -> None:
    assert name in (ROOT / ELSEWHERE[name]).read_text()
    assert name not in _variables(_page("settings.md"))


def _mentioning() -> Iterator[Path]:
    for name in MENTIONING:
        place = ROOT / name
        assert place.exists(), place
        yield from (each for each in ([place] if place.is_file() else sorted(place.rglob("*"))) if each.is_file())


def test_the_chart_refers_to_pages_that_there_are() -> None:
    named = re.findall(r"docs/[\w/]+\.md", (ROOT / "charts" / "swath" / "values.yaml").read_text())
    assert "docs/reference/settings.md" in named
    assert all((ROOT / each).is_file() for each in named)


@pytest.mark.parametrize("name", GENERATED)
def test_links_lead_somewhere(name: str) -> None:
    text = _page(name)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}
    assert len(anchors) == len(headings)
    for target in re.findall(r"\]\(([^)]+)\)", text):
        assert target[1:] in anchors if target.startswith("#") else (PAGES / target).exists(), target


@pytest.mark.parametrize("name", GENERATED)
def test_rows_have_as_many_cells_as_their_heads(name: str) -> None:
    width = 0
    for line in _page(name).splitlines():
        cells = len(re.findall(r"(?<!\\)\|", line)) if line.startswith("|") else 0
        assert cells == width or not width or not cells, line
        width = cells


def test_every_error_says_what_it_means(kinds: tuple[Kind, ...]) -> None:
    assert all(kind.text.endswith(".") for kind in kinds)
    text = _page("errors.md")
    assert all(f"\n| `{kind.error.reason}` | `{kind.error.code}` | `{kind.error.__name__}` |" in text for kind in kinds)


def test_reasons_are_of_one_class_each(kinds: tuple[Kind, ...]) -> None:
    reasons = [kind.error.reason for kind in kinds]
    assert len(set(reasons)) == len(reasons)


def test_the_tree_that_errors_are_drawn_as_is_theirs(kinds: tuple[Kind, ...]) -> None:
    drawn = re.findall(r"^([│├└─ ]*)(\w+)(?: {2,}([A-Z_]{4,}))?", (tree.__doc__ or "").split("\n\n")[1], re.MULTILINE)
    assert [(len(stem) // 4, name) for stem, name, _ in drawn] == [(kind.depth, kind.error.__name__) for kind in kinds]
    codes = {name: code for _, name, code in drawn if code}
    for kind in kinds:
        own = kind.error is SwathError or kind.error.code != kind.error.__mro__[1].code  # type: ignore[attr-defined]
        assert codes.get(kind.error.__name__, kind.error.code) == kind.error.code
        assert kind.error.__name__ in codes or not own


def test_exit_codes_of_workers_are_listed(sources: Sources) -> None:
    text = _page("errors.md")
    found = Errors(sources).exit_codes
    assert len(found) >= 4
    assert all(f"| {code} | worker of a run | {words} |" in text for code, words in found.items())
