"""Changes of a run, and what can be changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from swath.errors import InvalidInput, NotFound, SwathError
from swath_experiment.runs.model import Run, Runs
from swath_experiment.service.evaluation import Evaluation
from swath_experiment.service.scope import Experiment, near
from swath_experiment.settings import ExperimentSettings
from swath_experiment.store import Entry, ExperimentStore

PAGE_NAMES = {"evaluation_frequency": "eval_frequency"}
"""Hyper-parameters that the page knows by other names than runs do."""


@dataclass(frozen=True, slots=True)
class Described:
    """A hyper-parameter as the page shows it."""

    name: str
    label: str
    value: float | str


class Commands:
    """Changes of a run, and what can be changed.

    Args:
        runs: The training service.
        store: Keeps notes and the audit.
        evaluation: Evaluates.
        settings: Limits.
    """

    def __init__(
        self, runs: Runs, store: ExperimentStore, evaluation: Evaluation, settings: ExperimentSettings
    ) -> None:
        self._runs, self._store, self._evaluation, self._settings = runs, store, evaluation, settings

    async def describe(self, experiment: Experiment) -> list[Described]:
        """Return the hyper-parameters of the current run, and how far it is."""
        run = experiment.current
        named = {each.name: each for each in (await self._runs.describe(run.id))[0]}
        left = run.hyperparameters.get("total_steps", run.step) - run.step
        shown = [
            Described("experiment_name", "Experiment Name", run.name or run.experiment),
            Described("last_hash", "Last Hash", experiment.hash_of(run)),
            Described("model_age", "Model Age", float(run.step)),
            Described("training_left", "Left Training Steps", float(max(0, left))),
            Described("is_training", "Is Training", float(run.training)),
            Described("auditor_mode", "Auditor Mode", 0.0),
        ]
        for name, each in named.items():
            name = PAGE_NAMES.get(name, name)
            shown.append(Described(name, name.replace("_", " ").title(), each.value))
        return shown

    async def change(self, experiment: Experiment, values: Mapping[str, float]) -> None:
        """Change hyper-parameters of the current run. What is already so is left alone.

        Raises:
            InvalidInput: One cannot be changed, or not to that; the text names what can, or the range.
        """
        run = experiment.current
        known = {each.name: each for each in (await self._runs.describe(run.id))[0]}
        for name, value in values.items():
            if name not in known:
                raise InvalidInput(f"{name} of run {run.id} cannot be changed{near(name, known)}")
            each = known[name]
            low = value <= each.minimum if each.exclusive_minimum else value < each.minimum
            if low or (each.maximum is not None and value > each.maximum) or (each.integer and value != int(value)):
                kind = "a whole number" if each.integer else "a number"
                above = "above" if each.exclusive_minimum else "from"
                up = "" if each.maximum is None else f" to {each.maximum:g}"
                raise InvalidInput(f"{name}: expected {kind} {above} {each.minimum:g}{up}, got {value:g}")
        changed = {name: value for name, value in values.items() if value != known[name].value}
        if changed:
            await self._done(experiment, "hp_change", changed, self._runs.change(run.id, changed))

    async def set_training(self, experiment: Experiment, *, on: bool, steps: int = 0) -> None:
        """Have the current run go on, for so many steps or to its end, or wait."""
        run = experiment.current
        if on and await self._evaluation.under_way(experiment):
            raise InvalidInput("an evaluation is under way: cancel it, or wait for its end, before training goes on")
        if on:
            await self._done(experiment, "resume", {"steps": steps}, self._runs.resume(run.id, steps))
        else:
            await self._done(experiment, "pause", {}, self._runs.pause(run.id))

    async def save(self, experiment: Experiment) -> str:
        """Keep the current run's state as a checkpoint; return what to tell people."""
        run = experiment.current
        await self._done(experiment, "checkpoint_save", {}, self._runs.save(run.id))
        return f"the run keeps a checkpoint at its next step (now {run.step})"

    async def restore(self, experiment: Experiment, checkpoint: str) -> str:
        """Go back to `<hash>` or `<hash>@@weights_step=<step>`; return what to tell people.

        Raises:
            NotFound: There is no such checkpoint; the text names the nearest.
            InvalidInput: The step is not a whole number from 0.
        """
        details = {"checkpoint_id": checkpoint, "weights_only": "@@" in checkpoint}
        try:
            hash_, run, step = await self._resolve(experiment, checkpoint)
            target = experiment.current
            if not target.active:
                target = run
            await self._runs.restore(target.id, checkpoint)
        except SwathError as error:
            await self._store.record(experiment.place, Entry("checkpoint_restore", details, error.message))
            raise
        await self._store.record(experiment.place, Entry("checkpoint_restore", {**details, "checkpoint_step": step}))
        return f"Restored checkpoint {hash_} at step {step}"

    async def note(self, experiment: Experiment, metric: str, hash_: str, step: int, note: str) -> None:
        """Set the note of a point, an empty one takes it away.

        Raises:
            NotFound: There is no such curve.
            InvalidInput: The note is too long.
        """
        self.check_text("note", note)
        run = experiment.find(hash_)
        names = {each.name for each in await self._runs.curves(run.id)}
        if metric.split("/", 1)[-1] not in names and metric not in names:
            raise NotFound(f"run {hash_} has no curve {metric[:64]!r}{near(metric, names)}")
        details = {"metric_name": metric, "experiment_hash": hash_, "model_age": step, "note": note}
        key = (hash_, metric, step)
        await self._store.set_point_note(experiment.place, key, note, Entry("note_write", details))

    async def rename(self, experiment: Experiment, hash_: str, name: str) -> None:
        """Give a run a name.

        Raises:
            NotFound: There is no such run.
            InvalidInput: The name is empty or too long.
        """
        experiment.find(hash_)
        if not name.strip():
            raise InvalidInput("new_name: expected a name, got nothing")
        self.check_text("new_name", name)
        entry = Entry("experiment_rename", {"experiment_hash": hash_, "new_name": name})
        await self._store.set_run_note(experiment.place, hash_, {"name": name}, entry)

    async def set_notes(self, experiment: Experiment, hash_: str, notes: str) -> None:
        """Keep notes about a run.

        Raises:
            NotFound: There is no such run.
            InvalidInput: They are too long.
        """
        experiment.find(hash_)
        self.check_text("notes", notes)
        entry = Entry("experiment_notes", {"experiment_hash": hash_})
        await self._store.set_run_note(experiment.place, hash_, {"notes": notes}, entry)

    def check_text(self, name: str, text: str) -> None:
        """Refuse a text that is too long.

        Raises:
            InvalidInput: It is.
        """
        most = self._settings.experiment_text_bytes
        if len(text.encode()) > most:
            raise InvalidInput(f"{name}: expected at most {most} bytes, got {len(text.encode())}")

    async def _resolve(self, experiment: Experiment, checkpoint: str) -> tuple[str, Run, int]:
        hash_, mark, given = checkpoint.partition("@@weights_step=")
        if mark and not given.isdecimal():
            raise InvalidInput(f"weights_step: expected a whole number from 0, got {given[:32]!r}")
        kept = [(each, run) for run in experiment.runs for each in await self._runs.checkpoints(run.id)]
        fitting = [(each, run) for each, run in kept if each.hash == hash_]
        if not fitting:
            known = {each.hash for each, _ in kept}
            raise NotFound(f"Failed to restore checkpoint {hash_[:64]}: there is none{near(hash_, known)}")
        if mark:
            fitting = [(each, run) for each, run in fitting if each.step <= int(given)]
            if not fitting:
                raise NotFound(f"Failed to restore checkpoint {hash_}: none is at or before step {given}")
        found, run = max(fitting, key=lambda each: each[0].step)
        return hash_, run, found.step

    async def _done(self, experiment: Experiment, action: str, details: Mapping[str, float], asked: object) -> None:
        """Wait until a command is on disk, and write the audit."""
        try:
            command = await asked  # pyright: ignore[reportGeneralTypeIssues]
        except SwathError as error:
            await self._store.record(experiment.place, Entry(action, details, error.message))
            raise
        await self._store.record(experiment.place, Entry(action, {**details, "command": command.number}))
