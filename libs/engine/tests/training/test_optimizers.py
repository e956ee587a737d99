"""Optimizers and learning rates against torch's own."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler

from swath.documents import OptimizerDocument, SchedulerDocument
from swath.engine.training.phases.optimizers import Schedule, make_optimizer, measure_rates
from swath.errors import InvalidInput

EPOCHS = 8
LR = 0.5


def parameters() -> list[torch.nn.Parameter]:
    return [torch.nn.Parameter(torch.ones(3))]


def rates_of(scheduler: Any, optimizer: torch.optim.Optimizer) -> list[float]:
    rates = []
    for _ in range(EPOCHS):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def scheduled(values: list[float] | None = None, **fields: Any) -> list[float]:
    optimizer = torch.optim.SGD(parameters(), lr=LR)
    schedule = Schedule(SchedulerDocument(**fields), optimizer, EPOCHS)
    rates = []
    for epoch in range(EPOCHS):
        rates += schedule.rates()
        optimizer.step()
        schedule.step({} if values is None else {"val_loss": values[epoch]})
    return rates


@pytest.mark.parametrize(
    ("fields", "reference"),
    [
        ({"name": "cosine"}, lambda o: lr_scheduler.CosineAnnealingLR(o, EPOCHS, 1e-6)),
        ({"name": "cosine", "t_max": 3, "min_lr": 0.1}, lambda o: lr_scheduler.CosineAnnealingLR(o, 3, 0.1)),
        ({"name": "step"}, lambda o: lr_scheduler.StepLR(o, 1, 0.1)),
        ({"name": "step", "step_size": 3, "gamma": 0.5}, lambda o: lr_scheduler.StepLR(o, 3, 0.5)),
        ({"name": "exponential"}, lambda o: lr_scheduler.ExponentialLR(o, 0.99)),
        ({"name": "Exponential", "gamma": 0.5}, lambda o: lr_scheduler.ExponentialLR(o, 0.5)),
    ],
)
def test_schedules_are_those_of_torch(fields: dict[str, Any], reference: Any) -> None:
    optimizer = torch.optim.SGD(parameters(), lr=LR)

    assert scheduled(**fields) == pytest.approx([max(rate, 1e-6) for rate in rates_of(reference(optimizer), optimizer)])


def test_warm_up_rises_from_a_fraction_and_hands_over() -> None:
    optimizer = torch.optim.SGD(parameters(), lr=LR)
    main = rates_of(lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS - 3, 1e-6), optimizer)

    assert scheduled(name="cosine", warmup_epochs=3) == pytest.approx([LR / 4, LR / 2, 3 * LR / 4, *main[:5]])


def test_plateau_watches_a_value() -> None:
    values = [1.0, 0.9, 0.9, 0.9, 0.5, 0.5, 0.5, 0.5]
    optimizer = torch.optim.SGD(parameters(), lr=LR)
    reference = lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=1, min_lr=1e-6)
    expected = []
    for value in values:
        expected.append(optimizer.param_groups[0]["lr"])
        reference.step(value)

    assert scheduled(values, name="plateau", factor=0.5, patience=1) == pytest.approx(expected)
    assert expected[-1] < LR


def test_no_rate_decays_below_the_floor() -> None:
    assert scheduled(name="step", gamma=0.1, min_lr=0.02)[-1] == pytest.approx(0.02)


def test_none_keeps_the_rate() -> None:
    assert scheduled(name="none") == [LR] * EPOCHS


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"name": "plateau", "warmup_epochs": 1}, "warmup_epochs is not supported"),
        ({"name": "plateau", "factor": 1.0}, "factor must be below 1"),
        ({"name": "cosine", "warmup_epochs": EPOCHS}, "must be smaller than max_epochs"),
        ({"name": "linear"}, "Unsupported scheduler: linear"),
    ],
)
def test_schedules_that_cannot_be_are_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        Schedule(SchedulerDocument(**fields), torch.optim.SGD(parameters(), lr=LR), EPOCHS)


def test_a_watched_value_that_is_not_reported_is_named() -> None:
    schedule = Schedule(SchedulerDocument(name="plateau", monitor="x/iou"), torch.optim.SGD(parameters()), EPOCHS)

    with pytest.raises(InvalidInput, match="'x/iou' is not among the values that this run reports: val_loss"):
        schedule.step({"val_loss": 1.0})


@pytest.mark.parametrize(
    ("document", "kind", "group"),
    [
        (OptimizerDocument(lr=0.1, weight_decay=0.2), torch.optim.AdamW, {"betas": (0.9, 0.999), "weight_decay": 0.2}),
        (OptimizerDocument(name="Adam", betas=(0.5, 0.6)), torch.optim.Adam, {"betas": (0.5, 0.6)}),
        (OptimizerDocument(name="sgd"), torch.optim.SGD, {"momentum": 0.9}),
        (OptimizerDocument(name="sgd", momentum=0.0), torch.optim.SGD, {"momentum": 0.0}),
    ],
)
def test_optimizers_take_their_fields(document: OptimizerDocument, kind: type, group: dict[str, Any]) -> None:
    optimizer = make_optimizer(document, parameters())

    assert type(optimizer) is kind
    assert {key: optimizer.param_groups[0][key] for key in group} == group


def test_an_unknown_optimizer_is_refused() -> None:
    with pytest.raises(InvalidInput, match="Unsupported optimizer: lbfgs"):
        make_optimizer(OptimizerDocument(name="lbfgs"), parameters())


def test_rates_are_named_after_the_optimizer() -> None:
    optimizer = make_optimizer(OptimizerDocument(lr=0.1, weight_decay=0.2), parameters())

    assert measure_rates(optimizer, momentum=True, weight_decay=True) == {
        "lr-AdamW": 0.1,
        "lr-AdamW-momentum": 0.9,
        "lr-AdamW-weight_decay": 0.2,
    }


def test_schedules_resume_without_a_warning() -> None:
    document = SchedulerDocument(name="cosine", warmup_epochs=2)
    optimizer = torch.optim.SGD(parameters(), lr=LR)
    schedule = Schedule(document, optimizer, EPOCHS)
    other = torch.optim.SGD(parameters(), lr=LR)
    resumed = Schedule(document, other, EPOCHS)
    optimizer.step()
    schedule.step({})
    resumed.restore(schedule.state())
    other.load_state_dict(optimizer.state_dict())

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(4):
            schedule.step({})
            resumed.step({})
            assert resumed.rates() == schedule.rates()
