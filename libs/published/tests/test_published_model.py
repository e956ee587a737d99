"""Published models as plain Python: who may call and change them, what names they may have, and their messages."""

import pytest

from swath.errors import InvalidInput
from swath.models.v1 import models_pb2
from swath.published.messages import (
    change_message,
    change_of,
    message_of,
    model_of,
    share_messages,
    shares_of,
    state_message,
    state_of,
)
from swath.published.model import Alias, Change, Model, ModelVersion, ReplicaState, Share, State, TensorSpec
from swath.published.names import check_alias, check_model_name, no_model, shown

CUBE = TensorSpec("cube", "float32", (-1, -1, -1, 61), description="Radiance")
MASK = TensorSpec("mask", "bool", (-1, -1, -1, 1), optional=True)
SCORES = TensorSpec("rx.scores", "float32", (-1, -1, -1, 1))
FIRST = ModelVersion(1, "sha256:" + "a" * 64, "sha256:" + "b" * 64, (CUBE, MASK), (SCORES,), 12.5, "ann", "v1", ("{}",))
BARE = ModelVersion(3, "sha256:" + "c" * 64)
MODEL = Model(
    "rx",
    owner="ann",
    revision=7,
    versions=(FIRST, BARE),
    aliases=(Alias("stable", (Share(1, 95.0), Share(3, 5.0)), (Share(1, 100.0),)),),
    labels={"site": "San Diego"},
    callers=("bob",),
    editors=("eve",),
    pinned=True,
)


def test_what_it_has_by_number_and_name():
    assert (MODEL.version(3), MODEL.version(2)) == (BARE, None)
    assert MODEL.alias("stable") is MODEL.aliases[0]
    assert MODEL.alias("canary") is None
    assert FIRST.digests == ("sha256:" + "a" * 64, "sha256:" + "b" * 64)


@pytest.mark.parametrize(
    ("callers", "who", "calls", "changes"),
    [
        ((), "ann", True, True),
        ((), "mallory", True, False),
        (("bob",), "ann", True, True),
        (("bob",), "eve", True, True),
        (("bob",), "bob", True, False),
        (("bob",), "mallory", False, False),
        (("bob",), "", False, False),
        (("bob", "*"), "mallory", True, False),
        # Where nobody is asked who calls.
        (("bob",), None, True, True),
    ],
)
def test_who_may_call_and_who_may_change(callers, who, calls, changes):
    model = Model("rx", owner="ann", callers=callers, editors=("eve",))
    assert (model.callable_by(who), model.changeable_by(who)) == (calls, changes)


def test_what_nobody_owns_is_changed_by_nobody_who_has_a_name():
    assert not Model("rx").changeable_by("ann")
    assert Model("rx").callable_by("ann")


def test_a_model_goes_over_the_wire_and_back():
    sent = models_pb2.Model.FromString(message_of(MODEL).SerializeToString())
    assert model_of(sent) == MODEL
    assert sent.versions[0].inputs[1].optional
    assert not sent.versions[1].HasField("weights_digest")


def test_changes_shares_and_states_go_over_the_wire_and_back():
    change = Change((MODEL,), ("gone",), complete=True)
    assert change_of(change_message(change)) == change
    shares = (Share(1, 12.5), Share(2, 87.5))
    assert shares_of(share_messages(shares)) == shares
    for state in State:
        said = ReplicaState("pod-1", "rx", 3, state, "no room", 42)
        assert state_of(state_message(said)) == said


def test_a_state_that_is_not_known_here_says_the_least():
    assert state_of(models_pb2.ReplicaState(replica="pod-1", name="rx", version=1, state=99)).state is State.KNOWN  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["rx", "7", "RX-2.1_b", "a" * 128])
def test_names(name):
    assert check_model_name(name) == name


TRICKS = ["\uff41", "\u0430bc", "a\u202eb", "a\u200bb", "a\u0301", "\u212a", "a\ud800", "a\x7f", "a\x85"]
"""A letter of full width, one of another alphabet, one that turns the text, one that is not seen, ..."""


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "-x", "_x", "a/b", "../a", "a\\b", "a b", "a\n", "a\0", "ä", "٣", "a" * 129, "a%2fb", *TRICKS],
)
def test_names_that_are_refused(name):
    with pytest.raises(InvalidInput, match="name of the model: expected 1 to 128 letters") as refused:
        check_model_name(name)
    assert refused.value.message.isprintable()
    assert refused.value.message.isascii()
    with pytest.raises(InvalidInput, match="alias: expected"):
        check_alias(name)


def test_an_alias_is_no_number():
    assert check_alias("v7") == "v7"
    with pytest.raises(InvalidInput, match="not digits alone, got '7'"):
        check_alias("7")


def test_what_a_client_sent_is_shown_in_one_short_line():
    assert shown("a\nb\x1b[2J") == r"'a\nb\x1b[2J'"
    assert len(shown("x" * 10_000)) < 140
    assert no_model("rx").message.startswith("Model 'rx' not found")
    assert no_model("rx", "7").message.startswith("Model 'rx' version '7' not found")
