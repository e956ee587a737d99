"""The page on scenes names what the code reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from swath.scenes import FORMATS, UNITS, USUAL_NAMES, Format

PAGE = (Path(__file__).parents[2] / "docs" / "explanation" / "scenes.md").read_text()


@pytest.mark.parametrize("kind", FORMATS, ids=lambda kind: kind.name)
def test_every_format_has_a_row_with_its_suffixes_and_package(kind: Format) -> None:
    (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| {kind.name} | ") and "`." in line]
    _, _, files, packages, *_ = row.split("|")

    assert {part for part in files.split("`") if part.startswith(".")} == set(kind.suffixes)
    assert packages.replace("`", "").strip().startswith(kind.package.partition(";")[0] or "nothing")


@pytest.mark.parametrize("part", USUAL_NAMES)
def test_every_usual_name_is_listed_in_order(part: str) -> None:
    label = {"class_mask": "class mask", "wavelength_units": "their unit"}.get(part, part)
    (row,) = [
        line
        for line in PAGE.splitlines()
        if (line.startswith(f"| {label} | ") and "_key" in line) or line.startswith(f"| {label} | an attr")
    ]
    named = [each for each in row.split("|")[2].split("`")[1::2] if each != "units"]

    assert tuple(named) == USUAL_NAMES[part]


def test_every_unit_is_listed() -> None:
    assert ", ".join(f"`{unit}`" for unit in UNITS if unit != "cm-1") in PAGE.replace(
        "`cm-1` (wavenumbers), ", ""
    ).replace("\n  ", " ")
    assert "`cm-1`" in PAGE
