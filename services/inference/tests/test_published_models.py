"""What a replica knows of published models: names, versions, aliases, shares, and who may call."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import pytest

from swath.errors import InvalidInput, ModelNotFound, Unavailable
from swath.published.model import Alias, Change, Model, ModelVersion, Share, State
from swath.published.names import no_model
from swath_inference.published.models import PublishedModels, Status


def model(
    name: str = "scene",
    *,
    versions: Sequence[int] = (1, 2, 3),
    pinned: bool = False,
    callers: Sequence[str] = (),
    **at: int,
) -> Model:
    """Return a model with aliases, each of which points at one version."""
    return Model(
        name,
        owner="olga",
        versions=tuple(ModelVersion(number, f"sha256:{number:064x}") for number in versions),
        aliases=tuple(Alias(alias, (Share(number, 100.0),)) for alias, number in at.items()),
        callers=tuple(callers),
        editors=("erik",),
        pinned=pinned,
    )


def knowing(*models: Model) -> PublishedModels:
    known = PublishedModels()
    known.apply(Change(models, complete=True))
    return known


@pytest.mark.parametrize(("version", "found"), [("", 2), ("3", 3), ("1", 1), ("next", 3), ("stable", 2)])
def test_a_version_is_named_by_its_number_or_an_alias_and_stable_is_what_is_not_named(version: str, found: int) -> None:
    published = knowing(model(stable=2, next=3)).find("scene", version)
    assert (published.version, published.versions) == (found, (1, 2, 3))
    assert published.key == (f"sha256:{found:064x}", None)
    assert published.holder == f"model/scene/{found}"


def test_without_a_stable_alias_the_newest_version_answers() -> None:
    assert knowing(model(next=1)).find("scene").version == 3


@pytest.mark.parametrize("version", ["0", "-1", "../1", "1 ", "a/b", "x" * 129, "9" * 10_000, "\n", "²"])
def test_what_is_neither_a_number_nor_a_name_is_no_version(version: str) -> None:
    with pytest.raises(InvalidInput, match="expected"):
        knowing(model()).find("scene", version)


@pytest.mark.parametrize("version", ["4", "99999999999999999999", "canary"])
def test_a_version_that_is_not_there_is_told_with_those_that_are(version: str) -> None:
    with pytest.raises(ModelNotFound) as told:
        knowing(model(stable=2)).find("scene", version)
    assert told.value.message == f"Model 'scene' has no version '{version}': versions are 1, 2, 3; aliases are stable"


@pytest.mark.parametrize("name", ["", "other", "scene/1", "s\x00cene", "x" * 10_000])
def test_a_model_that_is_not_there_is_named_and_what_clients_send_is_cut(name: str) -> None:
    with pytest.raises(ModelNotFound) as told:
        knowing(model()).find(name)
    assert ascii(name)[1:60] in told.value.message
    assert len(told.value.message) < 300
    assert "\x00" not in told.value.message


def test_whoever_may_not_call_gets_the_answer_of_a_model_that_is_not_there() -> None:
    models = knowing(model(callers=["carla"]), model("open"), model("all", callers=["*"]))
    for caller in (None, "olga", "erik", "carla"):
        assert models.find("scene", caller=caller).name == "scene"
    for name in ("scene", "gone"):
        with pytest.raises(ModelNotFound) as told:
            models.find(name, "7", caller="victor")
        assert told.value.message == no_model(name, "7").message
        assert f"'{name}' version '7'" in told.value.message
    assert [(each.name, each.version) for each in models.all("victor")] == [
        (name, number) for name in ("all", "open") for number in (1, 2, 3)
    ]
    assert len(models.all("carla")) == len(models.all()) == 9


def test_before_the_catalogue_was_heard_of_nothing_is_said_to_be_missing() -> None:
    models = PublishedModels()
    for ask in (lambda: models.find("scene"), models.all):
        with pytest.raises(Unavailable) as told:
            ask()
        assert told.value.retry_after == 1.0
    models.apply(Change(complete=True))
    assert models.all() == []


def test_shares_of_calls_are_those_of_the_alias_within_four_deviations() -> None:
    shares = (Share(1, 90.0), Share(2, 9.5), Share(3, 0.5))
    models = knowing(Model("scene", versions=model().versions, aliases=(Alias("stable", shares),)))
    calls = 100_000
    drawn = Counter(models.find("scene").version for _ in range(calls))
    for share in shares:
        expected = share.percent / 100
        deviation = math.sqrt(calls * expected * (1 - expected))
        assert abs(drawn[share.version] - calls * expected) < 4 * deviation


def test_a_complete_answer_replaces_all_and_others_what_they_name() -> None:
    models = knowing(model(), model("other"))
    models.apply(Change((model(versions=(3, 4)),), ("other",)))
    assert [(each.name, each.version) for each in models.all()] == [("scene", 3), ("scene", 4)]
    models.apply(Change((model("third", versions=(1,)),), complete=True))
    assert [each.name for each in models.all()] == ["third"]


READY = Status(State.READY)
FAILED = Status(State.FAILED, "its weights do not fit")


def test_an_alias_of_a_pinned_model_goes_over_once_its_version_is_loaded_here() -> None:
    models = knowing(model(pinned=True, stable=1))
    models.tell("scene", {1: READY})
    models.apply(Change((model(pinned=True, stable=2),)))
    assert models.find("scene").version == 1
    assert models.find("scene", "2").version == 2
    models.tell("scene", {2: READY})
    assert models.find("scene").version == 2


def test_an_alias_stays_where_it_was_while_its_version_cannot_be_loaded_and_says_why() -> None:
    models = knowing(model(pinned=True, stable=1))
    models.tell("scene", {1: READY})
    models.apply(Change((model(pinned=True, stable=2),)))
    models.tell("scene", {2: FAILED})
    assert models.find("scene").version == 1
    failed = models.find("scene", "2")
    assert (failed.state, failed.reason) == (State.FAILED, "its weights do not fit")


def test_a_replica_that_starts_with_a_version_that_fails_takes_the_one_before() -> None:
    alias = Alias("stable", (Share(2, 100.0),), (Share(1, 100.0),))
    models = knowing(Model("scene", versions=model().versions, aliases=(alias,), pinned=True))
    models.tell("scene", {2: FAILED, 1: READY})
    assert models.find("scene").version == 1


def test_what_was_unpublished_takes_no_calls_even_if_its_successor_is_not_loaded_yet() -> None:
    models = knowing(model(pinned=True, stable=1))
    models.tell("scene", {1: READY})
    models.apply(Change((model(versions=(2, 3), pinned=True, stable=2),)))
    assert models.find("scene").version == 2


def test_an_alias_of_a_model_that_is_not_pinned_goes_over_at_once() -> None:
    models = knowing(model(stable=1))
    models.tell("scene", {1: READY})
    models.apply(Change((model(stable=2),)))
    assert models.find("scene").version == 2


def test_a_version_of_the_same_name_made_of_something_else_is_not_taken_for_loaded() -> None:
    models = knowing(model(versions=(1,)))
    models.tell("scene", {1: READY})
    models.apply(Change((Model("scene", versions=(ModelVersion(1, f"sha256:{7:064x}"),)),)))
    assert models.find("scene").state is State.KNOWN
