"""Data of a run: which module reads it, and which samples are for training, validation, test and prediction."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from swath.documents.base import Document


class SelectorKind(StrEnum):
    """Ways to choose samples."""

    FILES = "files"
    FILE_INDICES = "file_indices"
    DIR_INDICES = "dir_indices"
    STEMS = "stems"
    GLOB = "glob"
    TAG = "tag"
    CATEGORIES = "categories"
    ALL = "all"
    UNION = "union"
    EXCEPT = "except"
    INTERSECT = "intersect"


_FIELDS: dict[SelectorKind, tuple[str, ...]] = {
    SelectorKind.FILES: ("paths",),
    SelectorKind.FILE_INDICES: ("source", "ids"),
    SelectorKind.DIR_INDICES: ("ids",),
    SelectorKind.STEMS: ("stems",),
    SelectorKind.GLOB: ("pattern",),
    SelectorKind.TAG: ("any_of",),
    SelectorKind.CATEGORIES: ("any_of",),
    SelectorKind.ALL: (),
    SelectorKind.UNION: ("of",),
    SelectorKind.EXCEPT: ("of",),
    SelectorKind.INTERSECT: ("of",),
}


class SelectorDocument(Document):
    """A choice of samples; the fields of its kind are required and those of other kinds are errors."""

    model_config = ConfigDict(title="Selector")

    kind: SelectorKind = Field(description="Way to choose")
    paths: list[str] = Field(default_factory=list, description="files: whole files, by path")
    source: str | None = Field(default=None, description="file_indices: the file")
    ids: list[int | str] = Field(
        default_factory=list, description="file_indices, dir_indices: numbers or ranges 'a-b', both ends included"
    )
    stems: list[str] = Field(default_factory=list, description="stems: file names without folder and suffix")
    pattern: str | None = Field(default=None, description="glob: a pattern of paths")
    any_of: list[str] = Field(default_factory=list, description="tag, categories: names, any of which is enough")
    of: list[SelectorDocument] = Field(
        default_factory=list,
        description="union, except, intersect: what is joined; except takes the rest from the first",
    )

    @model_validator(mode="after")
    def _only_the_fields_of_its_kind(self) -> Self:
        mine = _FIELDS[self.kind]
        for name in ("paths", "source", "ids", "stems", "pattern", "any_of", "of"):
            value = getattr(self, name)
            if name in mine and not value:
                needed = f"'{name}'" if name in ("source", "pattern") else f"non-empty '{name}'"
                raise ValueError(f"selector kind '{self.kind}' requires {needed}")
            if name not in mine and value:
                raise ValueError(f"selector kind '{self.kind}' must not set field '{name}'")
        if self.kind in (SelectorKind.EXCEPT, SelectorKind.INTERSECT) and len(self.of) < 2:
            raise ValueError(f"selector kind '{self.kind}' requires at least 2 operands in 'of'")
        return self


class ConstraintDocument(Document):
    """What must hold between splits."""

    model_config = ConfigDict(title="Constraint")

    kind: Literal["no_split_overlap", "no_source_overlap", "no_train_anomalous"] = Field(description="What must hold")
    severity: Literal["error", "warn"] = Field(default="error", description="What a breach is")


class SplitsDocument(Document):
    """Samples of each stage: the union of its selectors, in their order."""

    model_config = ConfigDict(title="DataSplitConfig")

    splits_path: str | None = Field(
        default=None, description="File with splits to start from; stages given here replace those of the file"
    )
    universe_hash: str | None = Field(
        default=None, description="Hash of the list of samples that the splits were made for"
    )
    train: list[SelectorDocument] = Field(default_factory=list, description="Samples to train with")
    val: list[SelectorDocument] = Field(default_factory=list, description="Samples to validate and calibrate with")
    test: list[SelectorDocument] = Field(default_factory=list, description="Samples to test with")
    predict: list[SelectorDocument] = Field(default_factory=list, description="Samples to predict")
    constraints: list[ConstraintDocument] = Field(default_factory=list, description="What must hold between them")

    @model_validator(mode="after")
    def _each_constraint_once(self) -> Self:
        twice = sorted(kind for kind, count in Counter(c.kind for c in self.constraints).items() if count > 1)
        if twice:
            raise ValueError(f"duplicate constraint kind(s): {', '.join(twice)}")
        return self


class DataDocument(Document):
    """Where samples come from."""

    model_config = ConfigDict(title="DataConfig")

    data_module: str = Field(default="cu3s", description="Name of the module that reads them")
    splits: SplitsDocument | None = Field(default=None, description="Which samples are for which stage")
    batch_size: int = Field(default=1, ge=1, description="Samples a batch")
    num_workers: int = Field(default=0, ge=0, description="Processes that read; 0 reads in the run's own")
    params: dict[str, Any] = Field(default_factory=dict, description="The module's own parameters")
