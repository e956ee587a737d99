"""Reads config files: all that is wrong with one is said at once, each with its place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from pydantic import ValidationError

from swath.documents import load_yaml
from swath.errors import ConfigInvalid, DocumentInvalid, FileMissing
from swath.serve.schema.documents import ServeConfig
from swath.serve.schema.keys import unknown
from swath.serve.schema.places import Path, Places

_UNUSED = {
    "http_options": "HTTP is not served",
    "proxy_location": "the front is one with the process that routes",
    "tracing_config": "the server's own settings say where traces go",
    "controller_options": "there is no controller of its own",
    "target_capacity": "each deployment has the replicas that it is given",
}
_UNUSED_ENV = {
    "pip": "nothing is installed: what the code imports must be there",
    "conda": "nothing is installed: what the code imports must be there",
    "uv": "nothing is installed: what the code imports must be there",
    "excludes": ".swathignore says what is left out",
    "config": "there is nothing that it could set",
}


@dataclass(frozen=True)
class Read:
    """A config file that was read.

    Attributes:
        config: What it says.
        notes: In words, what of it has no effect.
        places: Where in the file things are.
    """

    config: ServeConfig
    notes: tuple[str, ...]
    places: Places


def read(text: str | bytes, file: str = "config") -> Read:
    """Read a config file, or the body of a request, which has the same form as JSON.

    Args:
        text: YAML or JSON.
        file: Its name, for people.

    Raises:
        ConfigInvalid: It is no config file. The message has a line for each thing that is wrong.
    """
    try:
        document = load_yaml(text, source=file)
    except DocumentInvalid as error:
        raise ConfigInvalid(error.message) from error
    decoded = text.decode() if isinstance(text, bytes) else text
    places = Places(decoded, file)
    if not isinstance(document, dict):
        raise ConfigInvalid(f"{file}: expected a mapping with the key 'applications', got {_kind(document)}")
    found = [*unknown(ServeConfig, document), *_repeated(document)]
    config = None
    try:
        config = ServeConfig.model_validate(document)
    except ValidationError as error:
        known = {path for path, _ in found}
        found += [(path, said) for path, said in _problems(error) if path not in known]
    if config is not None and not found:
        found += _remote(config)
    if found or config is None:
        raise refusal(places, found)
    return Read(config, tuple(_notes(config)), places)


def read_file(file: FilePath) -> Read:
    """Read a config file.

    Raises:
        FileMissing: There is no such file.
        ConfigInvalid: It is no config file.
    """
    try:
        return read(file.read_bytes(), str(file))
    except FileNotFoundError as error:
        raise FileMissing(f"there is no config file {file}") from error


def refusal(places: Places, problems: Sequence[tuple[Path, str]]) -> ConfigInvalid:
    """Return the error for a config file with something wrong in it: one line for each, with its place."""
    lines = [f"{places.of(path)}: {said}".removeprefix(": ") for path, said in problems]
    if len(lines) == 1:
        return ConfigInvalid(lines[0])
    return ConfigInvalid(f"{len(lines)} things are wrong:" + "".join(f"\n  {line}" for line in lines))


def _problems(error: ValidationError) -> Iterator[tuple[Path, str]]:
    for each in error.errors():
        path = tuple(part for part in each["loc"] if not _is_tag(part))
        if each["type"] == "extra_forbidden":
            continue  # said with the nearest right one
        message = each["msg"].removeprefix("Value error, ")
        if each["type"] == "missing":
            yield path, "this key is required"
        elif each["type"] == "value_error":
            yield path, message
        else:
            yield path, f"{message}, got {each['input']!r:.100}"


def _is_tag(part: str | int) -> bool:
    # Pydantic adds which of several types it tried, such as "constrained-int" or "function-after[...]".
    return isinstance(part, str) and not part.isidentifier()


def _repeated(document: dict[Any, Any]) -> Iterator[tuple[Path, str]]:
    """Iterate over applications that have the name or the route of another one."""
    applications = document.get("applications")
    if not isinstance(applications, list):
        return
    for key, default in (("name", "default"), ("route_prefix", "/")):
        values = [each.get(key, default) if isinstance(each, dict) else None for each in applications]
        counts = Counter(value for value in values if isinstance(value, str))
        seen: dict[str, int] = {}
        for index, value in enumerate(values):
            if not isinstance(value, str) or counts[value] == 1:
                continue
            if value in seen:
                default_text = "" if key in applications[index] else " (the default)"
                yield (
                    ("applications", index, key),
                    f"{key} {value!r}{default_text} is that of applications[{seen[value]}] too: expected one of its own"
                    + (", or null" if key == "route_prefix" else ""),
                )
            else:
                seen[value] = index


def _remote(config: ServeConfig) -> Iterator[tuple[Path, str]]:
    for index, application in enumerate(config.applications):
        environment = application.runtime_env
        named = [(("working_dir",), environment.working_dir or ""), *_modules(environment.py_modules)]
        for key, place in named:
            scheme = place.partition("://")[0] if "://" in place else ""
            if scheme not in ("", "local"):
                yield (
                    ("applications", index, "runtime_env", *key),
                    f"{place!r} is elsewhere: expected a folder of this machine, PATH or local://PATH",
                )


def _modules(modules: Sequence[str]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    for index, each in enumerate(modules):
        yield ("py_modules", index), each


def _notes(config: ServeConfig) -> Iterator[str]:
    given = config.model_fields_set
    yield from (f"{key} is unused: {why}" for key, why in _UNUSED.items() if key in given)
    routes = [each.name for each in config.applications if "route_prefix" in each.model_fields_set]
    if routes:
        yield f"route_prefix is unused (applications {', '.join(routes)}): HTTP is not served, calls name applications"
    for application in config.applications:
        for key, why in _UNUSED_ENV.items():
            if getattr(application.runtime_env, key):
                yield f"runtime_env.{key} of application {application.name} is unused: {why}"


def _kind(value: Any) -> str:
    return {list: "a list", str: "a text", type(None): "nothing"}.get(type(value), f"{value!r:.60}")
