"""Documents as bytes: canonical JSON, digests, and YAML that is safe to read."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from swath.documents import canonical, digest, dump_yaml, load_yaml, parse
from swath.errors import DocumentInvalid

_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)

PIPELINE: dict[str, Any] = {
    "metadata": {"name": "RX", "tags": ["anomaly"]},
    "connections": [{"target": "b.inputs.x", "source": "a.outputs.x"}],
    "nodes": [{"hparams": {"eps": 1e-6, "name": "Ü"}, "class_name": "A", "name": "a"}],
}


def test_canonical_json_is_sorted_dense_utf_8() -> None:
    assert canonical({"b": [1, 2.5], "a": "Ü"}) == '{"a":"Ü","b":[1,2.5]}'.encode()


def test_equal_documents_have_one_digest() -> None:
    one, other = parse("pipeline", PIPELINE), parse("pipeline", dict(reversed(PIPELINE.items())))

    assert digest(canonical(one)) == digest(canonical(other))
    assert digest(b"") == "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), {1, 2}])
def test_what_json_cannot_say_is_refused(value: Any) -> None:
    with pytest.raises(DocumentInvalid, match="cannot be written as JSON"):
        canonical({"x": value})


def test_an_infinite_hyper_parameter_is_refused_and_not_lost() -> None:
    node = {"name": "a", "class_name": "A", "hparams": {"threshold": float("inf")}}

    with pytest.raises(DocumentInvalid, match="cannot be written as JSON"):
        canonical(parse("pipeline", {"nodes": [node]}))


def test_yaml_has_the_contracts_order_and_reads_back() -> None:
    pipeline = parse("pipeline", PIPELINE)
    text = dump_yaml(pipeline)

    assert [line.split(":")[0] for line in text.splitlines() if line[0].isalpha()] == [
        "plugins",
        "nodes",
        "connections",
        "metadata",
    ]
    assert parse("pipeline", load_yaml(text)) == pipeline


@example({"": "0E0"})
@given(st.dictionaries(st.text(), _values, max_size=4))
def test_yaml_round_trip(document: dict[str, Any]) -> None:
    assert load_yaml(dump_yaml(document)) == document


def test_numbers_and_dates_are_what_configuration_files_mean() -> None:
    text = "a: 1e-3\nb: 1.0e-06\nc: 2024-01-01\nd: 1_000\ne: .5\nf: on\ng: -2E+4\nh: 1.2.3"

    assert load_yaml(text) == {
        "a": 1e-3,
        "b": 1e-6,
        "c": "2024-01-01",
        "d": 1000,
        "e": 0.5,
        "f": True,
        "g": -2e4,
        "h": "1.2.3",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1\nb: 2", "run.yaml is not valid YAML: line 2, column 2"),
        ("a: 1\na: 2", "line 2, column 1: found duplicate key 'a'"),
        ("a: !!python/object/apply:os.system ['true']", "could not determine a constructor for the tag"),
        ("a: !!set {b, c}", "could not determine a constructor for the tag"),
        ("a: !!timestamp 2024-01-01", "could not determine a constructor for the tag"),
        ("? [1]\n: 2", "found unhashable key"),
        ("a: *b", "found undefined alias"),
        ("a: &a [*a]", "found an alias inside of what it stands for"),
        ("--- 1\n--- 2", "another document"),
        ("[" * 100_000, "nested deeper than 100"),
        ("- " * 100_000, "nested deeper than 100"),
        (b"\xff\xfe", "is not UTF-8"),
        (b"#" * (1024 * 1024 + 1), "bytes of YAML, more than"),
    ],
)
def test_yaml_that_is_refused(text: str | bytes, message: str) -> None:
    with pytest.raises(DocumentInvalid) as refused:
        load_yaml(text, source="run.yaml")

    assert message in refused.value.message


def test_aliases_cannot_blow_up() -> None:
    levels = "".join(f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(8))

    with pytest.raises(DocumentInvalid, match="values with its aliases"):
        load_yaml(f"a: &a [x]\n{levels}")
