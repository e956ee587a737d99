"""Each argument of early stopping."""

from __future__ import annotations

import math
from typing import Any

import pytest

from swath.documents import EarlyStoppingDocument
from swath.engine.training.phases.early_stopping import EarlyStopping
from swath.errors import InvalidInput


def checks_until_stop(values: list[float], **fields: Any) -> int | None:
    """How many checks it takes to stop, None when it goes on."""
    stopper = EarlyStopping(EarlyStoppingDocument(monitor="x", **fields), at_epoch_end=True)
    return next((index + 1 for index, value in enumerate(values) if stopper.should_stop({"x": value})), None)


@pytest.mark.parametrize(
    ("fields", "values", "expected"),
    [
        ({"patience": 2}, [3, 2, 2, 2], 4),
        ({"patience": 2}, [3, 2, 2, 1, 1], None),
        ({"patience": 2, "mode": "max"}, [1, 2, 2, 2], 4),
        ({"patience": 1, "min_delta": 0.5}, [3, 2.6], 2),
        ({"patience": 1, "min_delta": 0.5}, [3, 2.4], None),
        ({"patience": 1, "mode": "max", "min_delta": 0.5}, [1, 1.4], 2),
        ({"stopping_threshold": 1.0}, [3, 0.9], 2),
        ({"stopping_threshold": 1.0, "mode": "max"}, [0.5, 1.5], 2),
        ({"divergence_threshold": 5.0}, [3, 5.5], 2),
        ({"divergence_threshold": -5.0, "mode": "max"}, [3, -5.5], 2),
        ({}, [3, math.nan], 2),
        ({}, [3, math.inf], 2),
        ({"check_finite": False, "patience": 3}, [3, math.nan, 2], None),
    ],
)
def test_when_it_stops(fields: dict[str, Any], values: list[float], expected: int | None) -> None:
    assert checks_until_stop(values, **fields) == expected


def test_a_missing_value_is_an_error_only_when_strict() -> None:
    lenient = EarlyStopping(EarlyStoppingDocument(monitor="x", strict=False), at_epoch_end=True)
    strict = EarlyStopping(EarlyStoppingDocument(monitor="x"), at_epoch_end=True)

    assert not lenient.should_stop({"y": 1.0})
    with pytest.raises(InvalidInput, match="'x' is not among the values that this run reports: y"):
        strict.should_stop({"y": 1.0})


def test_where_it_checks() -> None:
    left_open = EarlyStoppingDocument(monitor="x")
    chosen = EarlyStoppingDocument(monitor="x", check_on_train_epoch_end=False)

    assert EarlyStopping(left_open, at_epoch_end=True).at_epoch_end
    assert not EarlyStopping(left_open, at_epoch_end=False).at_epoch_end
    assert not EarlyStopping(chosen, at_epoch_end=True).at_epoch_end


@pytest.mark.parametrize(("verbose", "lines"), [(True, 1), (False, 0)])
def test_verbose_logs_the_reason(caplog: pytest.LogCaptureFixture, verbose: bool, lines: int) -> None:
    with caplog.at_level("INFO"):
        checks_until_stop([1, math.nan], verbose=verbose)

    assert [record.getMessage() for record in caplog.records] == ["early stopping: x = nan is not finite"] * lines
