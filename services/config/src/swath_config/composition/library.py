"""Configuration files as Hydra sees them: every read goes through the workspace, and nothing else is a source."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from hydra._internal.config_repository import ConfigRepository
from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigLoadError, ConfigResult, ConfigSource
from omegaconf import OmegaConf
from yaml.cyaml import CSafeLoader

from swath.documents import load_yaml
from swath.errors import ConfigInvalid, DocumentInvalid
from swath.storage.workspace.folder import Workspace
from swath_config.composition.sandbox import check_content

MAX_FILE_BYTES: Final = 1024 * 1024
"""Largest configuration file."""

MAX_READS: Final = 1_000
"""Files that the defaults lists of one configuration may name, repetitions included."""


@dataclass(frozen=True)
class Opened:
    """A file that took part in a composition.

    Attributes:
        name: Its name as Hydra has it, without suffix.
        text: Its text.
        content: Its content, without the defaults list.
    """

    name: str
    text: str
    content: dict[Any, Any]

    def line(self, parts: Sequence[str]) -> int | None:
        """Return the line (from 1) of a value by its path in this file, if it is there."""
        found: int | None = None
        node = yaml.compose(self.text, Loader=CSafeLoader)
        for part in parts:
            match: tuple[yaml.Node, yaml.Node] | None = None
            if isinstance(node, yaml.MappingNode):
                match = next(((key, value) for key, value in node.value if key.value == part), None)
            elif isinstance(node, yaml.SequenceNode) and part.isdigit() and int(part) < len(node.value):
                match = (node.value[int(part)],) * 2
            if match is None:
                return None
            found, node = match[0].start_mark.line + 1, match[1]
        return found

    def line_of_entry(self, entry: str) -> int | None:
        """Return the line (from 1) of the defaults entry that names a file."""
        word = re.compile(rf"(?<![\w/.-]){re.escape(entry)}(?:\.yaml)?(?![\w/.-])")
        short = re.compile(rf"(?<![\w.-]){re.escape(entry.rsplit('/', 1)[-1])}(?![\w.-])")
        for pattern in (word, short):
            for number, line in enumerate(self.text.splitlines(), start=1):
                if pattern.search(line.split("#")[0]):
                    return number
        return None


class Folder(ConfigSource):
    """One folder of configuration files inside the workspace's allowed roots."""

    def __init__(self, folder: Path, workspace: Workspace) -> None:
        super().__init__(provider="swath", path=f"{self.scheme()}://{folder}")
        self._folder = folder
        self._workspace = workspace
        self.opened: dict[str, Opened] = {}

    def __repr__(self) -> str:
        return str(self._folder)

    @staticmethod
    def scheme() -> str:
        return "swath"

    def place(self, config_path: str) -> Path:
        """Return the real path that a name means in this folder.

        Raises:
            PathDenied: It lies outside of the allowed roots.
        """
        return self._workspace.resolve(os.path.normpath(self._folder / config_path.lstrip("/")))

    def load_config(self, config_path: str) -> ConfigResult:
        name = config_path.removesuffix(".yaml")
        file = self.place(f"{name}.yaml")
        if not file.is_file():
            raise ConfigLoadError(f"Config not found : {file}")
        text, content = read(file, f"{name}.yaml")
        try:
            header = self._get_header_dict(text)
        except ValueError as error:
            raise ConfigInvalid(f"Config resolution failed: {name}.yaml: {error}") from error
        # Hydra is given the defaults list alone: the content of files is merged by `swath_config.composition.compose`.
        listed = {"defaults": content.pop("defaults")} if "defaults" in content else {}
        self.opened[config_path] = Opened(name, text, content)
        return ConfigResult(provider=self.provider, path=str(file), config=OmegaConf.create(listed), header=header)

    def available(self) -> bool:
        return self._folder.is_dir()

    def is_group(self, config_path: str) -> bool:
        return self.place(config_path).is_dir()

    def is_config(self, config_path: str) -> bool:
        return self.place(self._normalize_file_name(config_path)).is_file()

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        found: list[str] = []
        for name in sorted(os.listdir(self.place(config_path))):
            self._list_add_result(found, f"{config_path}/{name}", name, results_filter)
        return sorted(set(found))


class _NoSchemas(ConfigSource):
    """Hydra asks for Python classes of the same name as a file; here there are none."""

    def __init__(self) -> None:
        super().__init__(provider="schema", path="none://")

    @staticmethod
    def scheme() -> str:
        return "none"

    def load_config(self, config_path: str) -> ConfigResult:
        raise ConfigLoadError("no schemas")

    def is_group(self, config_path: str) -> bool:
        return False

    def is_config(self, config_path: str) -> bool:
        return False

    def available(self) -> bool:
        return True

    def list(self, config_path: str, results_filter: ObjectType | None) -> list[str]:
        return []


class Library(ConfigRepository):
    """The folders of one composition, in the order of looking.

    Args:
        folders: Where defaults entries are looked for.
        primary: Name of the configuration that is composed.
        root: The folder that it is read from, whatever the order of the others.
        workspace: Judges where files may lie.
    """

    def __init__(self, folders: Sequence[Path], primary: str, root: Path, workspace: Workspace) -> None:
        self.sources: list[ConfigSource] = []
        self.opened: dict[str, Opened] = {}
        for folder in folders:
            source = Folder(folder, workspace)
            source.opened = self.opened
            self.sources.append(source)
        self._primary = primary
        self._root = self.sources[list(folders).index(root)]
        self._known: dict[str, ConfigResult | None] = {}
        self._reads = 0

    def get_schema_source(self) -> ConfigSource:
        return _NoSchemas()

    def load_config(self, config_path: str) -> ConfigResult | None:
        self._reads += 1
        if self._reads > MAX_READS:
            raise ConfigInvalid(f"Config resolution failed: defaults lists name more than {MAX_READS} files")
        if config_path not in self._known:
            self._known[config_path] = super().load_config(config_path)
        return self._known[config_path]

    def _find_object_source(self, config_path: str, object_type: ObjectType | None) -> ConfigSource | None:
        if object_type == ObjectType.CONFIG and config_path == self._primary:
            return self._root
        return super()._find_object_source(config_path, object_type)

    def content(self, config_path: str) -> dict[Any, Any]:
        """Return the content of a file without its defaults list; nothing if there is no such file."""
        return {} if self.load_config(config_path) is None else self.opened[config_path].content


def read(file: Path, name: str) -> tuple[str, Any]:
    """Return a configuration file's text and its content.

    Raises:
        ConfigInvalid: It is too large, is no YAML (with the line), or holds what no configuration may.
    """
    with file.open("rb") as stream:
        data = stream.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise ConfigInvalid(f"Config resolution failed: {name} is larger than {MAX_FILE_BYTES} bytes")
    try:
        text = data.decode()
        content = load_yaml(text, source=name)
    except UnicodeDecodeError as error:
        raise ConfigInvalid(f"Config resolution failed: {name} is not UTF-8: {error}") from error
    except DocumentInvalid as error:
        raise ConfigInvalid(f"Config resolution failed: {error.message}") from error
    if content is None:
        content = {}
    if not isinstance(content, dict):
        raise ConfigInvalid(f"Config resolution failed: {name} holds a {type(content).__name__}; a mapping is expected")
    check_content(content, name)
    return text, content
