"""The user's checkpoints: which states of a run are saved as files, under which names.

Each file is a weights file (see `swath.engine.graph.weights`) with epoch and step, and with the state of optimizer and
schedule unless only weights are wanted. All of it can be read with ``torch.load(weights_only=True)``.
"""

from __future__ import annotations

import logging
import math
import os
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch

from swath.documents import CheckpointDocument
from swath.engine.training.reporting.values import missing_value
from swath.errors import InvalidInput

log = logging.getLogger(__name__)

_FIELD = re.compile(r"\{([^{}:]+)(:[^{}]*)?\}")
SUFFIX = ".ckpt"

Content = Callable[[bool], dict[str, Any]]
"""Returns the content of a checkpoint, given whether only weights are wanted."""


class Progress(NamedTuple):
    """Epoch (0-based) and optimizer steps done."""

    epoch: int
    step: int


class Checkpoints:
    """Saves the best states of a run, the last one, or both.

    Args:
        document: What is saved and when.
        folder: Where it is saved.
        monitor: The value that decides which states are best; None keeps the latest.
        at_epoch_end: Whether to save at the end of training epochs rather than after validations, if the document
            leaves it open.
    """

    def __init__(self, document: CheckpointDocument, folder: Path, monitor: str | None, *, at_epoch_end: bool) -> None:
        self._document = document
        self._folder = folder
        self._monitor = monitor
        chosen = document.save_on_train_epoch_end
        self._at_epoch_end = at_epoch_end if chosen is None else chosen
        self._kept: dict[str, float] = {}
        self._best = ""
        self._last = ""
        self._saved_step = 0
        self._saved_at = time.monotonic()
        # Names that were taken before this run. A resumed run may find its own files, which it overwrites.
        self._foreign = sorted(item.name for item in folder.glob(f"*{SUFFIX}")) if folder.is_dir() else []

    @property
    def monitor(self) -> str:
        """Name of the value that decides which are best; empty if the latest is kept."""
        return self._monitor or ""

    @property
    def best(self) -> tuple[Path, float | None] | None:
        """The best file with its score, if there is one."""
        if not self._best:
            return None
        return Path(self._best), self._kept.get(self._best) if self._monitor else None

    def after_step(self, progress: Progress, values: dict[str, float], content: Content) -> None:
        """Save if it is due after an optimizer step."""
        document = self._document
        if document.every_n_train_steps:
            due = progress.step % document.every_n_train_steps == 0
        elif document.train_time_interval is not None:
            due = time.monotonic() - self._saved_at >= document.train_time_interval.total_seconds()
        else:
            due = False
        if due:
            self._save(progress, values, content, required=False)

    def after_validation(self, progress: Progress, values: dict[str, float], content: Content) -> None:
        """Save if it is due after a validation."""
        if not self._at_epoch_end and self._epoch_due(progress):
            self._save(progress, values, content, required=True)

    def after_epoch(self, progress: Progress, values: dict[str, float], content: Content, *, validated: bool) -> None:
        """Save if it is due at the end of a training epoch; `validated`: whether any validation was done."""
        if self._at_epoch_end and self._epoch_due(progress):
            self._save(progress, values, content, required=validated)

    def after_error(self, progress: Progress, values: dict[str, float], content: Content) -> None:
        """Save if the document asks for it when the run fails."""
        if self._document.save_on_exception:
            self._write(self._folder / self._free_name(progress, values), content)

    def _epoch_due(self, progress: Progress) -> bool:
        document = self._document
        if document.every_n_train_steps or document.train_time_interval is not None:
            return False
        return (progress.epoch + 1) % (document.every_n_epochs or 1) == 0

    def _save(self, progress: Progress, values: dict[str, float], content: Content, *, required: bool) -> None:
        document = self._document
        if progress.step == self._saved_step:
            return
        if self._monitor is not None and self._monitor not in values:
            if required:
                raise missing_value("training.callbacks.checkpoint.monitor", self._monitor, values)
            return
        self._saved_step = progress.step
        self._saved_at = time.monotonic()
        path = self._keep(progress, values, content)
        if document.save_last:
            self._write_last(path, content)

    def _keep(self, progress: Progress, values: dict[str, float], content: Content) -> Path | None:
        """Write a file if the state is among the best, and remove the one that it replaces."""
        count = self._document.save_top_k
        score = float(progress.step) if self._monitor is None else values[self._monitor]
        larger = self._monitor is None or self._document.mode == "max"
        if math.isnan(score):
            score = -math.inf if larger else math.inf
        rank = (lambda value: value) if larger else (lambda value: -value)
        replaced = ""
        if 0 <= count <= len(self._kept):
            replaced = min(self._kept, key=lambda path: rank(self._kept[path]), default="")
            if not replaced or rank(score) <= rank(self._kept[replaced]):
                return None
            del self._kept[replaced]
        path = self._folder / self._free_name(progress, values, released=replaced)
        self._write(path, content)
        if replaced and replaced != str(path):
            Path(replaced).unlink(missing_ok=True)
        self._kept[str(path)] = score
        # Of equal scores the first stays the best.
        self._best = max(self._kept, key=lambda item: rank(self._kept[item]))
        return path

    def _write_last(self, path: Path | None, content: Content) -> None:
        last = self._folder / f"last{SUFFIX}"
        if self._document.save_last == "link" and path is not None:
            staged = last.with_suffix(".tmp")
            staged.unlink(missing_ok=True)
            staged.symlink_to(path.name)
            staged.replace(last)
        elif path is not None:
            staged = last.with_suffix(".tmp")
            shutil.copyfile(path, staged)
            staged.replace(last)
        else:
            self._write(last, content)
        self._last = str(last)

    def _write(self, path: Path, content: Content) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        staged = path.with_name(path.name + ".tmp")
        with staged.open("wb") as file:
            torch.save(content(self._document.save_weights_only), file)
            file.flush()
            os.fsync(file.fileno())
        staged.replace(path)
        if self._document.verbose:
            log.info("checkpoint written: %s", path)

    def _free_name(self, progress: Progress, values: dict[str, float], released: str = "") -> str:
        document = self._document
        stem = format_name(
            document.filename or "{epoch}-{step}", progress, values, insert_names=document.auto_insert_metric_name
        )
        name, version = f"{stem}{SUFFIX}", 0
        while document.enable_version_counter and self._taken(name, released):
            version += 1
            name = f"{stem}-v{version}{SUFFIX}"
        return name

    def _taken(self, name: str, released: str) -> bool:
        path = str(self._folder / name)
        return path != released and (name in self._foreign or path in self._kept)

    def state(self) -> dict[str, Any]:
        """Return what `restore` takes, with names relative to the folder, which may be another one elsewhere."""
        return {
            "kept": {self._inside(path): score for path, score in self._kept.items()},
            "best": self._inside(self._best),
            "last": self._inside(self._last),
            "saved_step": self._saved_step,
            "foreign": list(self._foreign),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a state."""
        self._kept = {str(self._folder / name): score for name, score in state["kept"].items()}
        self._best = str(self._folder / state["best"]) if state["best"] else ""
        self._last = str(self._folder / state["last"]) if state["last"] else ""
        self._saved_step = state["saved_step"]
        self._foreign = list(state["foreign"])

    def _inside(self, path: str) -> str:
        return path and os.path.relpath(path, self._folder)


def check_document(document: CheckpointDocument) -> None:
    """Refuse invalid settings.

    Raises:
        InvalidInput: Two cadences at once, a cadence below zero, or an invalid pattern.
    """
    cadences = {
        "every_n_train_steps": document.every_n_train_steps or None,
        "every_n_epochs": document.every_n_epochs,
        "train_time_interval": document.train_time_interval,
    }
    given = [name for name, value in cadences.items() if value is not None]
    if len(given) > 1:
        raise InvalidInput(f"training.callbacks.checkpoint: {' and '.join(given)} exclude each other")
    if (document.every_n_train_steps or 0) < 0:
        raise InvalidInput(
            f"training.callbacks.checkpoint.every_n_train_steps must not be negative: {document.every_n_train_steps}"
        )
    interval = document.train_time_interval
    if interval is not None and interval.total_seconds() <= 0:
        raise InvalidInput(f"training.callbacks.checkpoint.train_time_interval must be positive: {interval}")
    if document.filename is not None:
        if not document.filename or Path(document.filename).is_absolute() or ".." in Path(document.filename).parts:
            raise InvalidInput(
                f"training.callbacks.checkpoint.filename '{document.filename}' must be a name inside dirpath"
            )
        format_name(document.filename, Progress(0, 0), {}, insert_names=document.auto_insert_metric_name)


def names_in(pattern: str) -> list[str]:
    """Return the names of values in a pattern (see `format_name`), beside ``epoch`` and ``step``."""
    return [name for name, _ in _FIELD.findall(pattern) if name not in ("epoch", "step")]


def format_name(pattern: str, progress: Progress, values: dict[str, float], *, insert_names: bool) -> str:
    """Fill a pattern such as ``{epoch:02d}-{val_loss:.3f}``.

    Args:
        pattern: Names in braces with optional format specifications: ``epoch``, ``step`` and reported values; a value
            that is not reported yet counts as 0.
        progress: Epoch and step.
        values: Reported values by name.
        insert_names: Whether to write ``name=`` before each value.

    Raises:
        InvalidInput: A format specification is invalid for its value.
    """
    numbers: dict[str, float] = {**values, "epoch": progress.epoch, "step": progress.step}

    def fill(match: re.Match[str]) -> str:
        name, spec = match[1], (match[2] or "")[1:]
        try:
            text = format(numbers.get(name, 0), spec)
        except ValueError as error:
            raise InvalidInput(
                f"training.callbacks.checkpoint.filename '{pattern}': {{{name}:{spec}}}: {error}"
            ) from None
        return f"{name.replace('/', '_')}={text}" if insert_names else text

    return _FIELD.sub(fill, pattern)
