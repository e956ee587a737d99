"""What is asked of runs that are under way."""

from __future__ import annotations

import difflib
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from swath.documents import CommandKind, TrainRunDocument, checked_hyperparameters, parse
from swath.errors import InvalidInput, NotFound, Precondition
from swath.rpc.caller import caller
from swath.storage import ArtifactStore
from swath_training.runs.database.live.commands import Request
from swath_training.runs.database.store import RunStore
from swath_training.runs.model import Run, RunCheckpoint, RunCommand, StopCause, Trainer
from swath_training.supervise.supervisor import Supervisor

_AT_STEP = "@@weights_step="
_MAX_ID = 64
_OF_GRADIENT_RUNS = frozenset(CommandKind) - {CommandKind.PAUSE, CommandKind.RESUME}


class Commanding:
    """Checks what is asked of a run, and writes it.

    Args:
        store: Runs on disk.
        artifacts: Where lists of samples are kept, and specifications of runs.
        supervisor: Tells workers of this replica.
        own: Returns a run of the caller's, or raises RunNotFound.
    """

    def __init__(
        self, store: RunStore, artifacts: ArtifactStore, supervisor: Supervisor, own: Callable[[str], Any]
    ) -> None:
        self._store = store
        self._artifacts = artifacts
        self._supervisor = supervisor
        self._own = own

    async def pause(self, run_id: str, command_id: str) -> RunCommand:
        """Have a run wait between two steps."""
        return await self._ask(await self._own(run_id), command_id, CommandKind.PAUSE, {})

    async def resume(self, run_id: str, command_id: str, steps: int = 0) -> RunCommand:
        """Have it go on; for so many optimizer steps, if any are given.

        Raises:
            InvalidInput: The steps are negative.
        """
        if steps < 0:
            raise InvalidInput(f"steps must be 0 or more, got {steps}")
        run = await self._own(run_id)
        if steps and run.trainer is not Trainer.GRADIENT:
            raise Precondition(f"run {run.id} is {run.trainer.name.lower()}: it has no steps to count")
        return await self._ask(run, command_id, CommandKind.RESUME, {"steps": steps} if steps else {})

    async def change(self, run_id: str, command_id: str, values: Mapping[str, float]) -> RunCommand:
        """Change hyper-parameters.

        Raises:
            InvalidInput: One cannot be changed, or is outside of its range.
        """
        run = await self._own(run_id)
        return await self._ask(run, command_id, CommandKind.CHANGE, checked_hyperparameters(values))

    async def evaluate(
        self, run_id: str, command_id: str, split: str, sample_ids: Sequence[str], max_batches: int
    ) -> RunCommand:
        """Evaluate a split now.

        Raises:
            NotFound: The run's data has no such split.
            InvalidInput: A number is negative.
            Precondition: Only some samples are asked for, which a run does not do yet.
        """
        run = await self._own(run_id)
        if max_batches < 0:
            raise InvalidInput(f"max_batches must be 0 or more, got {max_batches}")
        splits = splits_of(await self._document(run))
        if split not in splits:
            raise NotFound(
                f"run {run.id} has no split '{split[:64]}' to evaluate; it has {', '.join(splits)}"
                f"{_nearest(split, splits)}",
                metadata={"run": run.id, "split": split[:64]},
            )
        if sample_ids:
            raise Precondition("a run evaluates whole splits; take max_batches to limit what it takes")
        arguments = {"split": split, **({"max_batches": max_batches} if max_batches else {})}
        return await self._ask(run, command_id, CommandKind.EVALUATE, arguments)

    async def cancel_evaluation(self, run_id: str, command_id: str, reason: str) -> RunCommand:
        """Give up the evaluation under way."""
        return await self._ask(await self._own(run_id), command_id, CommandKind.CANCEL_EVALUATION, {"reason": reason})

    async def save_checkpoint(self, run_id: str, command_id: str) -> RunCommand:
        """Keep the run's state."""
        return await self._ask(await self._own(run_id), command_id, CommandKind.SAVE_CHECKPOINT, {})

    async def restore(self, run_id: str, command_id: str, reference: str) -> RunCommand:
        """Have a run go on from a checkpoint of its experiment.

        Args:
            run_id: The run.
            command_id: Tells a repeated call.
            reference: "<hash>", or "<hash>@@weights_step=<step>" for the weights alone.

        Raises:
            NotFound: There is no such checkpoint; the message has the nearest hash or the steps that there are.
            InvalidInput: The step is no number.
        """
        run = await self._own(run_id)
        wanted, mark, step_text = reference.partition(_AT_STEP)
        if mark and not step_text.isdecimal():
            raise InvalidInput(f"'{_AT_STEP}' must be followed by a step, 0 or more, got '{step_text[:40]}'")
        found = [each for each in await self._store.files.checkpoints_of(run.experiment, run.owner) if each.hash]
        checkpoint = _chosen(run, found, wanted, int(step_text) if mark else None)
        arguments = {
            "digest": checkpoint.digest,
            "hash": checkpoint.hash,
            "step": checkpoint.step,
            "weights_only": bool(mark),
        }
        return await self._ask(run, command_id, CommandKind.RESTORE, arguments)

    async def set_samples(self, run_id: str, command_id: str, discarded: Sequence[str]) -> RunCommand:
        """Leave samples out of the train split, in place of those that were."""
        run = await self._own(run_id)
        ids = sorted(set(discarded))
        digest = await self._artifacts.put(json.dumps(ids).encode()) if ids else None
        return await self._ask(run, command_id, CommandKind.SET_SAMPLES, {"discarded": digest, "count": len(ids)})

    async def stop(self, run_id: str) -> Run:
        """Have a run stop with what it has learnt; return it as it is then."""
        run = await self._own(run_id)
        await self._supervisor.stop(run.id, StopCause.CLIENT)
        return await self._store.get(run.id)

    async def splits(self, run: Run) -> list[str]:
        """Return the splits of a run that can be evaluated."""
        return splits_of(await self._document(run)) if run.trainer is Trainer.GRADIENT else []

    async def _document(self, run: Run) -> TrainRunDocument:
        return parse("trainrun", await self._artifacts.get(run.spec_digest))

    async def _ask(self, run: Run, command_id: str, kind: CommandKind, arguments: Mapping[str, Any]) -> RunCommand:
        if kind in _OF_GRADIENT_RUNS and run.trainer is not Trainer.GRADIENT:
            raise Precondition(
                f"run {run.id} is {run.trainer.name.lower()}: it can be paused and resumed; '{kind}' is for gradient "
                "runs",
                metadata={"run": run.id},
            )
        if len(command_id) > _MAX_ID or "\0" in command_id:
            raise InvalidInput(f"command_id must have at most {_MAX_ID} characters and no NUL, got {len(command_id)}")
        who = caller()
        by = who.name if who is not None else ""
        return await self._store.commands.ask(run.id, Request(command_id or str(uuid.uuid4()), kind, arguments, by))


def splits_of(document: TrainRunDocument) -> list[str]:
    """Return the names of the splits of a run's data."""
    splits = document.data.splits
    named = splits.model_dump(exclude_none=True) if splits is not None else {}
    found = [name for name in ("train", "val", "test") if named.get(name)]
    return found or ["train", "val", "test"]


def _chosen(run: Run, found: Sequence[RunCheckpoint], wanted: str, step: int | None) -> RunCheckpoint:
    mine = [each for each in found if each.hash == wanted]
    if not mine:
        hashes = list(dict.fromkeys(each.hash for each in found))
        there = f"it has checkpoints of {', '.join(hashes[-5:])}" if hashes else "it has no checkpoint yet"
        raise NotFound(
            f"experiment {run.experiment} has no checkpoint of hash '{wanted[:64]}'; {there}{_nearest(wanted, hashes)}",
            metadata={"run": run.id, "hash": wanted[:64]},
        )
    if step is None:
        return max(mine, key=lambda each: (each.step, each.created_at))
    before = [each for each in mine if each.step <= step]
    if not before:
        steps = ", ".join(str(each.step) for each in mine[:10])
        raise NotFound(
            f"hash {wanted} has no checkpoint at or before step {step}; its steps are {steps}",
            metadata={"run": run.id, "hash": wanted},
        )
    return max(before, key=lambda each: (each.step, each.created_at))


def _nearest(name: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, names, 1)
    return f"; did you mean '{near[0]}'?" if near else ""
