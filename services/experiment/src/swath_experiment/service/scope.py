"""Which experiment a call is about.

Calls of ExperimentService name none. A client may say in its metadata which one it means; else it is that of the run
which the caller started last.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from swath.errors import NotFound, Precondition
from swath.rpc.caller import caller
from swath_experiment.runs.model import Run, Runs
from swath_experiment.store import Place

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Who:
    """What a call says of itself.

    Attributes:
        experiment: A run's id or an experiment's name; empty for the newest.
        reader: Tells apart the readers of one user, such as two windows.
    """

    experiment: str = ""
    reader: str = ""


@dataclass(frozen=True, slots=True)
class Experiment:
    """The experiment that a call is about.

    Attributes:
        place: Whose it is, and its name.
        runs: Its runs, newest first.
    """

    place: Place
    runs: Sequence[Run]

    @property
    def current(self) -> Run:
        """The run that commands go to: the newest one that goes on, else the newest one.

        Raises:
            Precondition: It has none yet.
        """
        if not self.runs:
            raise Precondition("there is no run yet: start one with `swath train`")
        return next((each for each in self.runs if each.active), self.runs[0])

    def by_hash(self) -> dict[str, Run]:
        """Return the runs by their hashes, newest first. Of runs that are alike in all the newest one counts."""
        found: dict[str, Run] = {}
        for each in self.runs:
            found.setdefault(each.hash or each.id.replace("-", "")[:24], each)
        return found

    def hash_of(self, run: Run) -> str:
        """Return the hash that stands for a run."""
        return run.hash or run.id.replace("-", "")[:24]

    def find(self, hash_: str) -> Run:
        """Return the run that a hash stands for; one of an evaluation stands for that one's run.

        Raises:
            NotFound: None; the text names the nearest.
        """
        known = self.by_hash()
        found = known.get(hash_) or known.get(hash_.split("_")[0])
        if found is None:
            raise NotFound(f"there is no run {hash_[:64]!r}{near(hash_, known)}")
        return found


async def experiment_of(runs: Runs, who: Who) -> Experiment:
    """Return the experiment that a call is about.

    Raises:
        NotFound: It names one that there is not, or not for its caller.
    """
    identity = caller()
    owner = "" if identity is None else identity.name
    if not who.experiment:
        newest = await runs.list()
        name = newest[0].experiment if newest else ""
        return Experiment(Place(owner, name), [each for each in newest if each.experiment == name])
    found = await runs.list(who.experiment)
    if found:
        return Experiment(Place(owner, who.experiment), found)
    every = await runs.list()
    named = [each for each in every if each.id.startswith(who.experiment) or each.name == who.experiment]
    if len({each.experiment for each in named}) == 1:
        name = named[0].experiment
        return Experiment(Place(owner, name), [each for each in every if each.experiment == name])
    names = {each.experiment for each in every} | {each.id for each in every}
    raise NotFound(f"there is no experiment or run {who.experiment[:64]!r}{near(who.experiment, names)}")


def near(name: str, known: Iterable[str]) -> str:
    """Return ": did you mean ...?", or what there is; nothing where there is nothing."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1)
    if close:
        return f": did you mean {close[0]!r}?"
    return f"; there are {', '.join(map(repr, names[:_SHOWN]))}{' and more' * (len(names) > _SHOWN)}" if names else ""
