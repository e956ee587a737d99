"""Hashes by which people tell the states of an experiment apart.

24 lower-case hexadecimal digits: 8 of the hyper-parameters, 8 of the model, 8 of the data. Each part changes on its
own, and comes back where what it is made of comes back.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from swath.documents import TrainRunDocument, initial_hyperparameters
from swath_training.runs.model import Run, Trainer

_PART = 8


def hash_base(trainer: Trainer, document: TrainRunDocument, pipeline_digest: str, weights_digest: str | None) -> str:
    """Return the hash of what no command changes: the documents and what the run starts from."""
    whole = document.model_dump(mode="json")
    data, name = whole.pop("data"), whole.pop("name")
    del name
    whole.pop("tags", None)
    whole.pop("pipeline", None)
    return _part([int(trainer), whole]) + _part([pipeline_digest, weights_digest]) + _part(data)


def run_hash(base: str, hyperparameters: Mapping[str, float], discarded: str | None) -> str:
    """Return the hash of a run.

    Args:
        base: Of `hash_base`; empty for a run of the release before, which has none.
        hyperparameters: Present values of what can be changed.
        discarded: Digest of the samples that are left out, if any are.
    """
    if not base:
        return ""
    first, model, data = base[:_PART], base[_PART : 2 * _PART], base[2 * _PART :]
    return _part([first, dict(hyperparameters)]) + model + _part([data, discarded])


def with_hash(run: Run, document: TrainRunDocument) -> Run:
    """Return a run that begins, with its hash and what can be changed about it."""
    training = document.training
    gradient = run.trainer is Trainer.GRADIENT and training is not None
    values = initial_hyperparameters(document, training) if gradient and training is not None else {}
    base = hash_base(run.trainer, document, run.pipeline_digest, run.weights_digest)
    return replace(run, hash_base=base, hyperparameters=values, hash=run_hash(base, values, None))


def _part(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:_PART]
