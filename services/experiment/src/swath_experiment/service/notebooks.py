"""The notebook of an experiment: kept, not run."""

from __future__ import annotations

import json
from dataclasses import dataclass

from swath.errors import InvalidInput, TooLarge
from swath_experiment.service.scope import Experiment
from swath_experiment.settings import ExperimentSettings
from swath_experiment.store import ExperimentStore

_NAME = "notebook.ipynb"
_EMPTY = json.dumps({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
_MOST_NAME = 200


@dataclass(frozen=True, slots=True)
class Notebook:
    """A notebook, and whether somebody has saved it."""

    name: str
    text: str
    existed: bool


class Notebooks:
    """Notebooks of experiments.

    Args:
        store: Keeps them.
        settings: How large they may be.
    """

    def __init__(self, store: ExperimentStore, settings: ExperimentSettings) -> None:
        self._store, self._most = store, settings.experiment_notebook_bytes

    async def read(self, experiment: Experiment) -> Notebook:
        """Return an experiment's notebook, an empty one where there is none."""
        found = await self._store.notebook(experiment.place)
        return Notebook(_NAME, _EMPTY, existed=False) if found is None else Notebook(*found, existed=True)

    async def save(self, experiment: Experiment, name: str, text: str) -> str:
        """Keep an experiment's notebook; return its name.

        Raises:
            InvalidInput: It is no notebook, or its name is too long.
            TooLarge: It is too large.
        """
        if len(text.encode()) > self._most:
            raise TooLarge(f"the notebook has {len(text.encode())} bytes: at most {self._most} are kept")
        try:
            is_notebook = isinstance(json.loads(text).get("cells"), list)
        except (ValueError, AttributeError, RecursionError):
            is_notebook = False
        if not is_notebook:
            raise InvalidInput("ipynb_json: expected a notebook, a JSON object with a list of cells")
        name = name or _NAME
        if len(name) > _MOST_NAME or "/" in name:
            raise InvalidInput(f"name: expected at most {_MOST_NAME} characters without '/', got {name[:64]!r}")
        await self._store.set_notebook(experiment.place, name, text)
        return name
