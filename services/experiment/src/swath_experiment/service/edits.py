"""What people say of samples: tags, discards, copies of columns."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from swath.errors import InvalidInput, NotFound, QuotaExceeded
from swath_experiment.runs.model import Runs
from swath_experiment.service.samples import DISCARDED, TAG, Samples
from swath_experiment.service.scope import Experiment, near
from swath_experiment.settings import ExperimentSettings
from swath_experiment.store import Edit, Entry, ExperimentStore

_TAG_NAME = re.compile(r"[^\x00-\x1f,;`]{1,100}")
_COPY = re.compile(r".+_\d+@[0-9a-f_]+|snapshot:.+")

EditKind = Literal["override", "accumulate", "remove"]

SUPPORTED = (
    "tags",
    "tag:<name>",
    DISCARDED,
    "__register_tag__",
    "__discard_by_tag__",
    "__copy_metadata__",
    "__delete_metadata__",
    "__save_step_signal_snapshot__",
    "__save_data_state__",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """An edit as a client asks for it.

    Attributes:
        name: What is edited; see `SUPPORTED`.
        kind: Whether values are added, take the place of others, or go.
        values: Of a snapshot, parallel to `samples`.
    """

    name: str
    kind: EditKind
    text: str = ""
    number: float = 0.0
    flag: bool = False
    samples: Sequence[str] = ()
    origins: Sequence[str] = ()
    is_categorical: bool = False
    categories: Sequence[str] = ()
    values: Sequence[float] = ()
    hash: str = ""


class Edits:
    """Changes what people say of samples. Each is on disk, with its line of the audit, when its call returns.

    Args:
        runs: Are told which samples to leave out.
        store: Keeps it.
        samples: Know which samples there are.
        settings: Limits.
    """

    def __init__(self, runs: Runs, store: ExperimentStore, samples: Samples, settings: ExperimentSettings) -> None:
        self._runs, self._store, self._samples, self._settings = runs, store, samples, settings

    async def edit(self, experiment: Experiment, wish: Wish) -> str:
        """Edit; return what to tell people.

        Raises:
            InvalidInput: It is no edit that there is; the text names those.
            NotFound: A sample, tag or column that is named is not there; nothing is changed.
            QuotaExceeded: There are as many tags as there may be.
        """
        name = wish.name
        if name == "__register_tag__":
            await self._declare(experiment, wish.text, wish)
            return f"Tag '{wish.text}' registered"
        if name == "__save_data_state__":
            return "Every edit is on disk already"
        if name == DISCARDED:
            return await self._discard(experiment, await self._known(experiment, wish), on=wish.flag)
        if name == "__discard_by_tag__":
            tagged = await self._samples.with_tags(experiment, [wish.text])
            await self._tag(experiment, wish.text)
            return await self._discard(experiment, tagged, on=True)
        if name == "__copy_metadata__":
            return await self._copy(experiment, wish)
        if name == "__delete_metadata__":
            return await self._delete(experiment, wish)
        if name == "__save_step_signal_snapshot__":
            return await self._snapshot(experiment, wish)
        if name.startswith(TAG) and wish.kind == "remove" and wish.number == -1:
            return await self._drop(experiment, name.removeprefix(TAG))
        if name.startswith("tag"):
            return await self._paint(experiment, wish)
        raise InvalidInput(f"stat_name: expected one of {', '.join(SUPPORTED)}; got {name[:64]!r}")

    async def _known(self, experiment: Experiment, wish: Wish) -> Sequence[str]:
        """Return the samples that an edit names. Origins count where they are given: ids are unique without them."""
        if not wish.samples:
            raise InvalidInput("samples_ids: expected at least one sample, got none")
        if wish.origins and len(wish.origins) != len(wish.samples):
            raise InvalidInput(
                f"sample_origins: expected one per sample, {len(wish.samples)}, or none; got {len(wish.origins)}"
            )
        table = await self._samples.table(experiment)
        known = frozenset(() if table is None else table.ids())
        missing = next((each for each in wish.samples if each not in known), None)
        if table is None or missing is not None:
            raise NotFound(f"there is no sample {(missing or '')[:64]!r}{near(missing or '', known)}")
        if any(wish.origins):
            rows = table.rows(wish.samples)
            for row, origin in zip(rows, wish.origins, strict=True):
                if origin and row["origin"] != origin:
                    raise NotFound(f"sample {row['sample_id']} is of {row['origin']!r}, not of {origin[:64]!r}")
        return wish.samples

    async def _tag(self, experiment: Experiment, name: str) -> None:
        tags = await self._store.tags(experiment.place)
        if name not in tags:
            raise NotFound(f"there is no tag {name[:64]!r}{near(name, tags)}")

    async def _declare(self, experiment: Experiment, name: str, wish: Wish) -> None:
        await self._store.edit(
            experiment.place,
            (),
            Entry("tag_register", {"tag": name}),
            declare=await self._declaration(experiment, name, wish.categories if wish.is_categorical else None),
        )

    async def _declaration(
        self, experiment: Experiment, name: str, categories: Sequence[str] | None
    ) -> Mapping[str, Sequence[str] | None]:
        if not _TAG_NAME.fullmatch(name) or name != name.strip():
            raise InvalidInput(f"tag: expected 1 to 100 characters without ',', ';' or '`', got {name[:64]!r}")
        tags = await self._store.tags(experiment.place)
        if name not in tags and len(tags) >= self._settings.experiment_tags:
            raise QuotaExceeded(f"the experiment has {len(tags)} tags, as many as it may have")
        if name in tags and not categories:
            return {}
        return {name: list(categories) if categories else None}

    async def _paint(self, experiment: Experiment, wish: Wish) -> str:
        if wish.name.startswith(TAG) and wish.is_categorical:
            return await self._categorise(experiment, wish)
        name = wish.text or wish.name.partition(":")[2]
        samples = await self._known(experiment, wish)
        if wish.kind == "remove":
            await self._untag(experiment, name, samples)
            return f"Tag '{name}' removed from {len(samples)} samples"
        edits = [Edit(TAG + name, dict.fromkeys(samples, True))]
        if wish.kind == "override":
            tags = await self._store.tags(experiment.place)
            others = [each for each, categories in tags.items() if each != name and categories is None]
            edits += [Edit(TAG + each, dict.fromkeys(samples)) for each in others]
        declare = await self._declaration(experiment, name, None)
        await self._store.edit(experiment.place, edits, _told("tag_add", samples, tag=name), declare=declare)
        return f"Tag '{name}' added to {len(samples)} samples"

    async def _categorise(self, experiment: Experiment, wish: Wish) -> str:
        name = wish.name.removeprefix(TAG)
        tags = await self._store.tags(experiment.place)
        allowed = list(wish.categories) or list(tags.get(name) or ())
        samples = await self._known(experiment, wish)
        if wish.kind == "remove":
            await self._untag(experiment, name, samples)
            return f"Tag '{name}' cleared for {len(samples)} samples"
        if wish.text not in allowed:
            raise InvalidInput(f"tag {name!r}: expected one of {allowed}, got {wish.text[:64]!r}")
        declare = await self._declaration(experiment, name, allowed)
        edits = [Edit(TAG + name, dict.fromkeys(samples, wish.text))]
        entry = _told("tag_add", samples, tag=name, category=wish.text)
        await self._store.edit(experiment.place, edits, entry, declare=declare)
        return f"Tag '{name}' is '{wish.text}' for {len(samples)} samples"

    async def _untag(self, experiment: Experiment, name: str, samples: Sequence[str]) -> None:
        await self._tag(experiment, name)
        edits = [Edit(TAG + name, dict.fromkeys(samples))]
        await self._store.edit(experiment.place, edits, _told("tag_remove", samples, tag=name))

    async def _drop(self, experiment: Experiment, name: str) -> str:
        await self._tag(experiment, name)
        await self._store.edit(experiment.place, (), Entry("tag_remove", {"tag": name}), drop=[TAG + name])
        return f"Tag '{name}' deleted"

    async def _discard(self, experiment: Experiment, samples: Sequence[str], *, on: bool) -> str:
        action = "sample_discard" if on else "sample_restore"
        edits = [Edit(DISCARDED, dict.fromkeys(samples, True if on else None))]
        await self._store.edit(experiment.place, edits, _told(action, samples))
        left_out = sorted((await self._store.values(experiment.place)).get(DISCARDED, {}))
        for run in experiment.runs:
            if run.active:
                await self._runs.discard(run.id, left_out)
        return f"{len(samples)} samples {'discarded' if on else 'restored'}"

    async def _copy(self, experiment: Experiment, wish: Wish) -> str:
        table = await self._samples.table(experiment)
        columns = () if table is None else table.columns
        if table is None or wish.text not in columns:
            raise NotFound(f"there is no column {wish.text[:64]!r}{near(wish.text, columns)}")
        hash_ = experiment.hash_of(experiment.current)
        number = next(n for n in range(1, len(columns) + 2) if f"{wish.text}_{n}@{hash_}" not in columns)
        made = f"{wish.text}_{number}@{hash_}"
        values = {row["sample_id"]: row.get(wish.text) for row in table.rows(table.ids())}
        await self._store.edit(experiment.place, [Edit(made, values)], Entry("metadata_copy", {"column": made}))
        return f"Copied '{wish.text}' as '{made}'."

    async def _delete(self, experiment: Experiment, wish: Wish) -> str:
        known = [each for each in await self._store.values(experiment.place) if _COPY.fullmatch(each)]
        if wish.text not in known:
            raise NotFound(f"there is no copied column {wish.text[:64]!r}{near(wish.text, known)}")
        entry = Entry("metadata_delete", {"column": wish.text})
        await self._store.edit(experiment.place, (), entry, drop=[wish.text])
        return f"Deleted '{wish.text}'"

    async def _snapshot(self, experiment: Experiment, wish: Wish) -> str:
        samples = await self._known(experiment, wish)
        if len(wish.values) != len(samples):
            raise InvalidInput(f"sample_values: expected one per sample, {len(samples)}; got {len(wish.values)}")
        made = f"snapshot:{wish.text[:100]}@{wish.hash[:24]}_{int(wish.number)}"
        values: dict[str, Any] = dict(zip(samples, wish.values, strict=True))
        entry = _told("metadata_copy", samples, column=made)
        await self._store.edit(experiment.place, [Edit(made, values)], entry)
        return f"Saved '{wish.text}' as '{made}'."


def _told(action: str, samples: Sequence[str], **details: str) -> Entry:
    shown = list(samples[:100])
    return Entry(action, {**details, "samples": shown, "count": len(samples)})
