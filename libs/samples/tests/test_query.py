"""Queries: what they mean, compared with the same condition in Python, and what is said of those that mean nothing."""

from __future__ import annotations

import math
import pickle
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from swath.errors import QueryInvalid
from swath.samples.query import condition, parse, sort_columns

ROWS: list[dict[str, Any]] = [
    {"loss": 0.5, "step": 1, "origin": "train", "tag:cloud": True, "signal//val loss": 2.0, "note": "a.b"},
    {"loss": 0.25, "step": 2, "origin": "val", "tag:cloud": False, "signal//val loss": None, "note": None},
    {"loss": math.nan, "step": 3, "origin": "train", "tag:cloud": False, "signal//val loss": -1.0, "note": "A.B"},
    {"loss": None, "step": -4, "origin": "test", "tag:cloud": True, "signal//val loss": 0.0, "note": ""},
    {"loss": math.inf, "step": 0, "origin": "Train set", "tag:cloud": True, "signal//val loss": 7.5, "note": "axb"},
]
FRAME = pl.DataFrame(ROWS, schema_overrides={"step": pl.Int64}, strict=False)


def found(text: str) -> list[int]:
    wanted = condition(parse(text), FRAME.schema)
    assert wanted is not None
    return [row for row, each in enumerate(FRAME.with_columns(wanted.alias("wanted"))["wanted"]) if each]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("loss < 0.5", [1]),
        ("loss >= 0.25", [0, 1, 4]),
        ("0.2 < loss <= 0.5", [0, 1]),
        # What is missing equals nothing, as in pandas.
        ("loss == 0.5", [0]),
        ("loss != 0.5", [1, 2, 3, 4]),
        ("not loss < 0.5", [0, 2, 3, 4]),
        ("~(loss < 0.5) & step > 0", [0, 2]),
        ("loss is null", [2, 3]),
        ("loss is not null and loss < 1", [0, 1]),
        ("loss == None", [2, 3]),
        ("loss.isna() or loss > 1", [2, 3, 4]),
        ("step % 2 == 1", [0, 2]),
        ("step * 2 + 1 > 3", [1, 2]),
        ("-step > 2", [3]),
        ("step ** 2 == 16", [3]),
        ("2 ** 3 ** 2 == 512 and step == 0", [4]),
        ("step - 1 - 1 == 0", [1]),
        ("loss / step == 0.5", [0]),
        ("step / 0 > 0 and step == 1", [0]),
        ("origin == 'train'", [0, 2]),
        ('origin in ["train", "test"]', [0, 2, 3]),
        ("origin not in ('train', 'test')", [1, 4]),
        ("step in [1, 2, -4]", [0, 1, 3]),
        ("loss in [0.5, null]", [0, 2, 3]),
        ("step.isin([1])", [0]),
        ("step.between(1, 2)", [0, 1]),
        ("step.abs() == 4", [3]),
        ("loss.round(1) == 0.2", [1]),
        # Texts are texts and no patterns.
        ("note.str.contains('a.b')", [0]),
        ("note.lower().contains('a.b')", [0, 2]),
        ("origin.str.startswith(pat='tr')", [0, 2]),
        ("origin.endswith('t')", [3, 4]),
        ("origin.len() == 3", [1]),
        ("origin + note == 'traina.b'", [0]),
        ("`tag:cloud`", [0, 3, 4]),
        ("not `tag:cloud` and step > 2", [2]),
        ("`tag:cloud` == 1", [0, 3, 4]),
        ("`tag:cloud` == true", [0, 3, 4]),
        ("`signal//val loss` > 0", [0, 4]),
        ("df['signal//val loss'] > 0", [0, 4]),
        ("df.step == 0", [4]),
        ("df[df['loss'] > 0.3]", [0, 4]),
        ("df[(df['loss'] > 0.3) & (df.origin == 'train')]", [0]),
        ("df[df.step > 0][df['loss'] < 0.4]", [1]),
        ("df.query('step > 0 and loss < 0.4')", [1]),
        ("(df['loss'] > 0.3) | (df['step'] == 2)", [0, 1, 4]),
        ("step > 0 && loss < 1 || step == 0", [0, 1, 4]),
        ("STEP == 1 or step == 2".replace("STEP", "step"), [0, 1]),
        ("step == 1e0", [0]),
    ],
)
def test_which_samples(text: str, rows: list[int]) -> None:
    assert found(text) == rows


def test_order_and_head() -> None:
    query = parse("step > 0 sortby origin desc, `signal//val loss` asc, loss head 10")
    assert sort_columns(query, FRAME.schema) == (["origin", "signal//val loss", "loss"], [True, False, False])
    assert query.head == 10
    assert query.where is not None
    slice_ = parse("sortby loss desc scope:view start:24 count:12")
    assert (slice_.where, slice_.start, slice_.count) == (None, 24, 12)
    frame = parse("df[df.loss > 1].sort_values(by=['origin', 'loss'], ascending=[False, True]).head(3)")
    assert [order.descending for order in frame.order] == [True, False]
    assert frame.head == 3
    assert condition(parse(""), FRAME.schema) is None
    assert parse("head 3").head == 3


@pytest.mark.parametrize(
    ("text", "at", "what"),
    [
        ("loss >", 6, "expected a column, a number or a text, got the end"),
        ("loss > 'high'", 5, "'>' compares a number with a text"),
        ("lss > 1", 0, "there is no column 'lss'; the nearest: `loss`"),
        ("loss > 1 and", 12, "expected a column"),
        ("loss > 1 )", 9, "expected an operator or the end"),
        ("(loss > 1", 9, "expected ')'"),
        ("loss ? 1", 5, "expected a word, got '?'"),
        ("origin == 'train", 10, "this text has no closing '"),
        ("`loss > 1", 0, "this column has no closing `"),
        ("loss", 0, "expected a condition, got a number"),
        ("loss and origin", 0, "'and' takes true or false, got a number"),
        ("origin > null", 7, "'>' does not compare with null"),
        ("loss in 3", 8, "expected values in brackets"),
        ("loss in ['a']", 8, "a number is not among values such as 'a'"),
        ("loss is 3", 8, "expected null"),
        ("note.matches('a')", 5, "there is no method 'matches'"),
        ("note.contain('a')", 5, "the nearest: contains"),
        ("note.contains(3)", 14, "contains takes a text in quotes"),
        ("loss.contains('a')", 0, "'contains' takes a text, got a number"),
        ("step.between(1)", 5, "between takes 2 arguments, got 1"),
        ("sortby lss", 7, "there is no column 'lss'"),
        ("loss > 1 head many", 14, "expected how many samples, a whole number, got 'many'"),
        ("df.drop('loss')", 7, "expected an operator or the end, got '('"),
        ("step" + " + 1" * 200 + " > 0", 405, "more than 100 operators"),
        ("__import__('os').system('true')", 10, "expected an operator or the end"),
        ("df[df.loss > 1].to_csv('x')", 16, "expected query, sort_values or head"),
        ("(" * 200 + "loss > 1" + ")" * 200, 100, "more than 100 levels"),
        ("x" * 20_000, 10_000, "at most 10000 characters"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, at: int, what: str) -> None:
    with pytest.raises(QueryInvalid) as refused:
        query = parse(text)
        condition(query, FRAME.schema)
        sort_columns(query, FRAME.schema)
    assert refused.value.metadata == {"position": str(at)}
    assert what in str(refused.value)
    assert pickle.loads(pickle.dumps(refused.value)).metadata == refused.value.metadata


_WORDS = st.sampled_from(
    [
        "loss",
        "step",
        "`tag:cloud`",
        "df",
        "[",
        "]",
        "(",
        ")",
        "'a'",
        '"',
        "1",
        ".5",
        "and",
        "or",
        "not",
        "in",
        "is",
        "null",
        "<",
        ">=",
        "==",
        "!=",
        "+",
        "-",
        "**",
        "%",
        "/",
        ",",
        ".",
        "sortby",
        "desc",
        "head",
        "str",
        "contains",
        "isin",
        "~",
        "&",
        ":",
    ]
)


@settings(deadline=None)
@given(
    st.one_of(
        st.text(max_size=60), st.lists(_WORDS, max_size=25).map(" ".join), st.lists(_WORDS, max_size=25).map("".join)
    )
)
@example("-" * 3000 + "1 > 0")
@example("not " * 2400 + "`tag:cloud`")
@example("1 ** " * 1900 + "1 > 0")
@example("step" + " + 1" * 2400 + " > 0")
@example("`tag:cloud`" + " and `tag:cloud`" * 100)
@example("9" * 400 + " > step")
@example("step > " + "9" * 18 + " ** 99999")
def test_any_text_is_a_query_or_is_refused_at_a_character(text: str) -> None:
    try:
        query = parse(text)
        wanted = condition(query, FRAME.schema)
        sort_columns(query, FRAME.schema)
    except QueryInvalid as refused:
        assert 0 <= int(refused.metadata["position"]) <= len(text)
        return
    if wanted is not None:
        FRAME.with_columns(wanted.alias("wanted"))


_NUMBERS = st.sampled_from(["loss", "step", "`signal//val loss`", "0", "0.5", "2", "-1"])
_TESTS = st.builds("{} {} {}".format, _NUMBERS, st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), _NUMBERS)
_CONDITIONS = st.recursive(
    _TESTS,
    lambda inner: st.one_of(
        st.builds("({}) {} ({})".format, inner, st.sampled_from(["and", "or"]), inner),
        st.builds("not ({})".format, inner),
    ),
    max_leaves=6,
)


@settings(deadline=None)
@given(_CONDITIONS)
def test_conditions_are_what_python_makes_of_them(text: str) -> None:
    expected = []
    for row, values in enumerate(ROWS):
        names = {name: math.nan if value is None else value for name, value in values.items()}
        python = text.replace("`signal//val loss`", "signal")
        # Not a number compares as false in Python as well.
        if eval(python, {"__builtins__": {}}, names | {"signal": names["signal//val loss"]}):
            expected.append(row)
    assert found(text) == expected
