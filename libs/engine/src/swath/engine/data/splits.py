"""Splits: the frames of each stage, by selectors, with constraints between them."""

from __future__ import annotations

import fnmatch
import hashlib
import json
import logging
import re
from collections.abc import Container, Iterable, Sequence

from pydantic import ValidationError

from swath.documents import DataDocument, SelectorDocument, SelectorKind, SplitsDocument
from swath.engine.data.collection import Collection, Resolve, Sample
from swath.engine.data.constraints import check
from swath.engine.data.params import existing_file
from swath.engine.data.spellings import STAGES, has_paths, normal, respelled
from swath.errors import DataInvalid

logger = logging.getLogger(__name__)

Stages = dict[str, tuple[Sample, ...]]

_RANGE = re.compile(r"(\d+)(?:-(\d+)(?::(\d+))?)?")
_TAGS = ("anomalous", "normal")


def gives_stages(doc: DataDocument) -> bool:
    """Whether a document itself assigns frames to stages."""
    splits = doc.splits
    return splits is not None and bool(splits.splits_path or any(getattr(splits, stage) for stage in STAGES))


def assign(splits: SplitsDocument | None, collection: Collection, resolve: Resolve) -> Stages:
    """Return the frames of each stage; a predict stage without selectors has all frames.

    Raises:
        DataInvalid: A selector matches nothing or names what does not exist, the splits were made for another universe,
            or a constraint of severity error does not hold.
        FileMissing: The splits file does not exist.
    """
    splits = with_file(splits, resolve)
    if splits is not None and has_paths(splits):
        places: dict[str, set[str]] = {}
        for sample in collection.samples:
            places.setdefault(sample.source, {sample.source}).add(str(sample.file))
        splits = respelled(splits, places, resolve)
    chosen = splits is not None and any(getattr(splits, stage) for stage in STAGES)
    if splits is not None and chosen:
        _check_universe(splits, collection.samples)
        stages = {stage: _stage(stage, getattr(splits, stage), collection) for stage in STAGES}
    else:
        stages = {stage: collection.stages.get(stage, ()) for stage in STAGES}
    stages["predict"] = stages["predict"] or collection.samples
    if splits is not None:
        check(splits.constraints, stages, collection.labels)
    return stages


def universe_hash(samples: Iterable[Sample]) -> str:
    """Return the fingerprint of an ordered list of frames: SHA-256 over their identities, one per line, in hex."""
    digest = hashlib.sha256()
    for sample in samples:
        digest.update(f"{sample.uid}\n".encode())
    return digest.hexdigest()


def with_file(splits: SplitsDocument | None, resolve: Resolve) -> SplitsDocument | None:
    """Return the stages of a document over those of the file that it names; constraints and hash are the file's."""
    if splits is None or not splits.splits_path:
        return splits
    path = existing_file(resolve, splits.splits_path, "splits file")
    try:
        base = SplitsDocument.model_validate(json.loads(path.read_bytes()))
    except ValidationError as error:
        raise DataInvalid(f"splits file '{splits.splits_path}': {error}") from error
    except (ValueError, RecursionError) as error:
        raise DataInvalid(f"splits file '{splits.splits_path}' is not JSON: {error}") from error
    if base.splits_path:
        raise DataInvalid(f"splits file '{splits.splits_path}' names another splits file, which is not followed")
    return base.model_copy(update={stage: getattr(splits, stage) or getattr(base, stage) for stage in STAGES})


def _check_universe(splits: SplitsDocument, samples: Sequence[Sample]) -> None:
    # When a file is added, positions in the list change their meaning silently; names do not.
    positional = any(_has_positions(selector) for stage in STAGES for selector in getattr(splits, stage))
    if not splits.universe_hash or not positional:
        return
    actual = universe_hash(samples)
    if actual != splits.universe_hash.removeprefix("sha256:"):
        raise DataInvalid(
            "the data is not the one that the splits with dir_indices were made for: "
            f"expected universe_hash {splits.universe_hash}, got {actual} over {len(samples)} frames; "
            "choose by files or file_indices, or make the splits anew"
        )


def _has_positions(selector: SelectorDocument) -> bool:
    return selector.kind == SelectorKind.DIR_INDICES or any(_has_positions(child) for child in selector.of)


def _stage(stage: str, selectors: Sequence[SelectorDocument], collection: Collection) -> tuple[Sample, ...]:
    chosen: dict[str, Sample] = {}
    for at, selector in enumerate(selectors):
        where = f"splits.{stage}[{at}] ({selector.kind})"
        found = _Choice(collection, where).of(selector)
        if not found:
            raise DataInvalid(f"{where} matches none of the {len(collection.samples)} frames; {_known(collection)}")
        chosen |= {sample.uid: sample for sample in found}
    return tuple(chosen.values())


def _known(collection: Collection) -> str:
    sources = sorted({sample.source for sample in collection.samples})
    more = f" and {len(sources) - 5} more" if len(sources) > 5 else ""
    return f"the data's sources are {', '.join(sources[:5])}{more}"


class _Choice:
    """Resolves a selector over a collection."""

    def __init__(self, collection: Collection, where: str) -> None:
        self._collection = collection
        self._samples = collection.samples
        self._where = where

    def of(self, selector: SelectorDocument) -> list[Sample]:
        match selector.kind:
            case SelectorKind.ALL:
                return list(self._samples)
            case SelectorKind.FILES:
                return self._files(selector.paths)
            case SelectorKind.FILE_INDICES:
                return self._indices(selector.source or "", self._ids(selector.ids))
            case SelectorKind.DIR_INDICES:
                return self._positions(self._ids(selector.ids))
            case SelectorKind.STEMS:
                wanted = set(selector.stems)
                return [sample for sample in self._samples if sample.stem in wanted]
            case SelectorKind.GLOB:
                pattern = selector.pattern or ""
                return [
                    sample
                    for sample in self._samples
                    if fnmatch.fnmatchcase(sample.stem, pattern) or fnmatch.fnmatchcase(sample.source, pattern)
                ]
            case SelectorKind.TAG:
                return self._tagged(selector.any_of)
            case SelectorKind.CATEGORIES:
                return self._categories(selector.any_of)
            case SelectorKind.UNION | SelectorKind.EXCEPT | SelectorKind.INTERSECT:
                return self._combined(selector)

    def _files(self, paths: Sequence[str]) -> list[Sample]:
        wanted = {normal(path): path for path in paths}
        found = [sample for sample in self._samples if normal(sample.source) in wanted]
        self._warn_of_rest(wanted, {normal(sample.source) for sample in found})
        return found

    def _indices(self, source: str, ids: Sequence[int]) -> list[Sample]:
        wanted = dict.fromkeys(ids)
        own = normal(source)
        found = [sample for sample in self._samples if normal(sample.source) == own and sample.index in wanted]
        self._warn_of_rest(wanted, {sample.index for sample in found})
        return found

    def _positions(self, ids: Sequence[int]) -> list[Sample]:
        beyond = [at for at in ids if at >= len(self._samples)]
        if beyond:
            raise DataInvalid(f"{self._where}: positions {beyond} are past the {len(self._samples)} frames there are")
        return [self._samples[at] for at in dict.fromkeys(ids)]

    def _ids(self, ids: Sequence[int | str]) -> list[int]:
        numbers: list[int] = []
        for item in ids:
            match = _RANGE.fullmatch(str(item).strip())
            if not match:
                raise DataInvalid(f"{self._where}: ids must be numbers >= 0 or ranges 'a-b', got {item!r}")
            first = int(match[1])
            last = int(match[2]) if match[2] else first
            step = int(match[3]) if match[3] else 1
            if last < first or step < 1:
                raise DataInvalid(f"{self._where}: the range {item!r} is empty: expected 'a-b' with a <= b")
            if last - first > 10_000_000:
                raise DataInvalid(f"{self._where}: the range {item!r} is longer than 10000000")
            numbers.extend(range(first, last + 1, step))
        return numbers

    def _tagged(self, tags: Sequence[str]) -> list[Sample]:
        unknown = sorted(set(tags) - set(_TAGS))
        if unknown:
            raise DataInvalid(f"{self._where}: unknown tags {unknown}; frames are tagged {' or '.join(_TAGS)}")
        return [sample for sample in self._samples if ("anomalous" if self._labels(sample) else "normal") in tags]

    def _categories(self, names: Sequence[str]) -> list[Sample]:
        known = self._collection.categories
        unknown = [name for name in names if name not in known and not name.isdecimal()]
        if unknown:
            raise DataInvalid(
                f"{self._where}: unknown categories {unknown}; there are {sorted(known)}, and ids as numbers"
            )
        wanted = {known[name] if name in known else int(name) for name in names}
        return [sample for sample in self._samples if wanted & self._labels(sample)]

    def _labels(self, sample: Sample) -> frozenset[int]:
        if self._collection.labels is None:
            raise DataInvalid(f"{self._where}: the data has no labels, so frames cannot be chosen by them")
        return self._collection.labels(sample)

    def _combined(self, selector: SelectorDocument) -> list[Sample]:
        first, *rest = [{sample.uid: sample for sample in self.of(child)} for child in selector.of]
        match selector.kind:
            case SelectorKind.UNION:
                for part in rest:
                    first |= part  # an existing key keeps its position, and equal keys are equal samples
                return list(first.values())
            case SelectorKind.EXCEPT:
                return [sample for uid, sample in first.items() if not any(uid in part for part in rest)]
            case _:
                return [sample for uid, sample in first.items() if all(uid in part for part in rest)]

    def _warn_of_rest(self, wanted: Iterable[object], found: Container[object]) -> None:
        missing = [item for item in wanted if item not in found]
        if missing and found:
            logger.warning("%s matches only part of what it names; not there: %s", self._where, missing[:20])
