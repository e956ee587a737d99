"""Overrides as people type them: quoted where Hydra could not read them, left alone where it can."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from swath.client.cli.overrides import quoted


@pytest.mark.parametrize(
    "value",
    [
        "Prüfung.npz",
        "a b.npz",
        "a #1.npz",
        "scene[1].npz",
        "[1].npz",
        "scene (1).npz",
        "a=b.npz",
        "it's",
        "C:\\data\\ü\\",
        "a\\'b",
        "a;b&c!d",
        "${dir}/ü.npz",
        "/data/plain-name_1.npz",
    ],
)
def test_text_arrives_as_it_was_typed(value: str) -> None:
    (override,) = OverridesParser.create().parse_overrides(quoted([f"data.params.path={value}"]))
    assert override.value() == value


@pytest.mark.parametrize(
    "override",
    [
        "a=1",
        "a=1e-5",
        "a=null",
        "a=[1,2]",
        "a={b: 1}",
        "a='ü'",
        'a="ü"',
        "a=${b}",
        "+a.b=true",
        "++a=x",
        "~a",
        "~a=ü",
        "a=",
        "a=x\\=y",
        "a=int(3)",
        "data@b=other",
    ],
)
def test_what_hydra_reads_is_left_alone(override: str) -> None:
    assert quoted([override]) == [override]


def test_what_is_added_is_quoted_too() -> None:
    assert quoted(["+data.note=ü", "++data.note=a b#"]) == ["+data.note='ü'", "++data.note='a b#'"]
