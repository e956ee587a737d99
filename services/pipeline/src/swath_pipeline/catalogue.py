"""The pipelines of a workspace: documents below configs/pipeline."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from swath.documents import MAX_YAML_BYTES, PipelineMetadata, load_yaml
from swath.errors import DocumentInvalid, FileMissing, InvalidInput, SwathError
from swath.storage import Base, Workspace

_FOLDER = "pipeline"
_SUFFIX = ".yaml"


@dataclass(frozen=True)
class CatalogueEntry:
    """One pipeline document.

    Attributes:
        path: Relative to configs/pipeline, with its extension.
        file: Where it is, as clients know it.
        metadata: Its metadata; the name falls back to the file's stem.
        weights: The .pt file beside it, if there is one, likewise.
        text: Its text.
    """

    path: str
    file: Path
    metadata: PipelineMetadata
    weights: Path | None
    text: str


class PipelineCatalogue:
    """Lists and finds the pipelines below the configs root.

    Args:
        workspace: The workspace, whose own layer hides shipped files of the same path.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    async def all(self, tag: str | None = None) -> list[CatalogueEntry]:
        """Return all pipelines by path, those with a tag if one is given; case does not matter.

        Raises:
            FileMissing: There is no such folder.
        """
        return await asyncio.to_thread(self._workspace.steadily, lambda: self._all(tag))

    async def one(self, path: str) -> CatalogueEntry:
        """Return one pipeline.

        Args:
            path: Relative, forward slashes, ending in .yaml.

        Raises:
            InvalidInput: It is no such path.
            FileMissing: No such pipeline.
        """
        return await asyncio.to_thread(self._workspace.steadily, lambda: self._one(path))

    def _roots(self) -> list[Path]:
        return [root / _FOLDER for root in self._workspace.config_roots if (root / _FOLDER).is_dir()]

    def _all(self, tag: str | None) -> list[CatalogueEntry]:
        files = self._workspace.files(".", base=Base.PIPELINES, content=(_SUFFIX,))
        if not files and not self._roots():
            raise FileMissing(f"there is no folder {_FOLDER} in {self._shown(self._workspace.config_roots)}")
        found = []
        for path, file in sorted(files.items()):
            weights = files.get(path.removesuffix(_SUFFIX) + ".pt")
            # One that is too large or is removed meanwhile must not hide all others.
            with contextlib.suppress(SwathError, OSError):
                if path.endswith(_SUFFIX):
                    found.append(self._read(path, file, weights if weights == file.with_suffix(".pt") else None))
        if not tag:
            return found
        return [each for each in found if tag.lower() in (own.lower() for own in each.metadata.tags)]

    def _one(self, path: str) -> CatalogueEntry:
        parts = path.split("/")
        if (
            PurePosixPath(path).is_absolute()
            or "\\" in path
            or not path.endswith(".yaml")
            or any(part in ("", ".", "..") for part in parts)
        ):
            raise InvalidInput(
                f"pipeline_path {path!r} must be relative to configs/{_FOLDER}, with forward slashes, "
                "without empty, '.' or '..' parts, and end in .yaml"
            )
        file = self._workspace.resolve(path, base=Base.PIPELINES)
        if not file.is_file():
            raise FileMissing(f"Pipeline '{path}' not found in {self._shown(self._roots())}")
        weights = file.with_suffix(".pt")
        return self._read(path, file, weights if weights.is_file() else None)

    def _read(self, path: str, file: Path, weights: Path | None) -> CatalogueEntry:
        if file.stat().st_size > MAX_YAML_BYTES:
            raise DocumentInvalid(f"Pipeline '{path}' has more than {MAX_YAML_BYTES} bytes")
        text = file.read_text(encoding="utf-8", errors="replace")
        shown = None if weights is None else Path(self._workspace.shown(weights))
        return CatalogueEntry(path, Path(self._workspace.shown(file)), _metadata(text, file.stem), shown, text)

    def _shown(self, folders: Iterable[Path]) -> list[str]:
        return [self._workspace.shown(each) for each in folders]


def _metadata(text: str, stem: str) -> PipelineMetadata:
    """Return the metadata of a document, as much as can be made out: a broken file must not hide all others."""
    try:
        content: Any = load_yaml(text)
        given = content.get("metadata") if isinstance(content, dict) else None
        return PipelineMetadata.model_validate({"name": stem, **(given if isinstance(given, dict) else {})})
    except (SwathError, ValueError):
        return PipelineMetadata(name=stem)
