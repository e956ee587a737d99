"""The version is in VERSION; whatever else names it names the same."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import version as installed_version

import pytest
import yaml

from tools.release_check.commands import ROOT
from tools.release_check.sources import distributions, repository_files, version

# Tags of our images, as documents write them.
_TAG = re.compile(r"(?:\bTAG=|\bswath-(?:core|torch|storage):)(\d+\.\d+\.\d+)")


@pytest.mark.parametrize("distribution", distributions(), ids=lambda each: each.name)
def test_every_distribution_takes_its_version_from_one_file(distribution) -> None:
    project = tomllib.loads((ROOT / distribution.folder / "pyproject.toml").read_text())
    assert project["project"]["dynamic"] == ["version"]
    assert (ROOT / distribution.folder / project["tool"]["hatch"]["version"]["path"]).resolve() == ROOT / "VERSION"
    assert installed_version(distribution.name) == version()


def test_the_chart_has_it() -> None:
    chart = yaml.safe_load((ROOT / "charts" / "swath" / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == version()


def test_documents_name_images_of_it() -> None:
    documents = [file for file in repository_files() if file.suffix == ".md" and file.name != "CHANGELOG.md"]
    tags = {f"{file}: {tag}" for file in documents for tag in _TAG.findall((ROOT / file).read_text())}
    assert {tag.rpartition(": ")[2] for tag in tags} == {version()}, tags


def test_the_changelog_says_what_is_in_it() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    released = re.findall(r"^## \[?(\d+\.\d+\.\d+)\]? - \d{4}-\d\d-\d\d$", text, re.MULTILINE)
    assert released[0] == version()
    assert released == sorted(released, key=lambda each: tuple(map(int, each.split("."))), reverse=True)
