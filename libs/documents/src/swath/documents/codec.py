"""Documents as bytes: canonical JSON and its digest, and safe YAML."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, Final

import yaml
from pydantic import BaseModel
from pydantic_core import PydanticSerializationError
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError
from yaml.cyaml import CSafeLoader

from swath.errors import DocumentInvalid

MAX_YAML_BYTES: Final = 1024 * 1024
"""Maximum bytes of YAML that `load_yaml` reads."""

MAX_YAML_NODES: Final = 100_000
"""Maximum number of values of a YAML text with its aliases expanded."""

MAX_YAML_DEPTH: Final = 100
"""Maximum depth of a YAML text."""


def plain(document: BaseModel | dict[str, Any]) -> dict[str, Any]:
    """Return a document as JSON-able values, all fields included, in the contract's order.

    Raises:
        DocumentInvalid: It has a value that JSON cannot represent.
    """
    if isinstance(document, BaseModel):
        try:
            return document.model_dump(mode="json")
        except PydanticSerializationError as error:
            raise DocumentInvalid(f"{type(document).__name__} cannot be written as JSON: {error}") from error
    return document


def canonical(document: BaseModel | dict[str, Any]) -> bytes:
    """Return the canonical JSON of a document: UTF-8, sorted keys, no spaces; equal documents give equal bytes.

    Raises:
        DocumentInvalid: It has a value that JSON cannot represent, such as an infinity.
    """
    try:
        text = json.dumps(plain(document), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise DocumentInvalid(f"The document cannot be written as JSON: {error}") from error


def digest(data: bytes) -> str:
    """Return the name of an artifact with these bytes, `sha256:<64 hex digits>`."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class _Loader(CSafeLoader):
    """YAML for configuration files: 1e-3 is a number, a date is a string, and duplicate keys are refused."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and not key.tag.endswith(":merge"):
                if key.value in seen:
                    raise ConstructorError(None, None, f"found duplicate key {key.value!r}", key.start_mark)
                seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


_PLAIN = ("null", "bool", "int", "float", "str", "seq", "map")
_Loader.yaml_constructors = {
    tag: make
    for tag, make in _Loader.yaml_constructors.items()
    if tag is None or tag.removeprefix("tag:yaml.org,2002:") in _PLAIN
}
_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":timestamp", ":float"))]
    for first, resolvers in _Loader.yaml_implicit_resolvers.items()
}
_FLOAT = re.compile(
    r"""^(?:[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+]?[0-9]+)?
    |[-+]?[0-9][0-9_]*[eE][-+]?[0-9]+
    |[-+]?\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?
    |[-+]?\.(?:inf|Inf|INF)
    |\.(?:nan|NaN|NAN))$""",
    re.VERBOSE,
)
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789."))


def _weigh(text: str) -> None:
    """Refuse YAML that is nested too deeply or whose aliases expand too far, before anything is built from it.

    The reader that builds values recurses in C and would take the whole process down on deep nesting.
    """
    weights: dict[str, int] = {}
    open_anchors: list[str | None] = []
    counts = [0]
    for event in yaml.parse(text, Loader=CSafeLoader):
        anchor: str | None = getattr(event, "anchor", None)
        if isinstance(event, yaml.CollectionEndEvent):
            weight = counts.pop() + 1
            closed = open_anchors.pop()
            if closed:
                weights[closed] = weight
        elif isinstance(event, yaml.CollectionStartEvent):
            if len(counts) > MAX_YAML_DEPTH:
                raise ComposerError(None, None, f"nested deeper than {MAX_YAML_DEPTH}", event.start_mark)
            counts.append(0)
            open_anchors.append(anchor)
            continue
        elif isinstance(event, yaml.AliasEvent):
            if anchor in open_anchors:
                raise ComposerError(None, None, "found an alias inside of what it stands for", event.start_mark)
            weight = weights.get(anchor or "", 1)
        elif isinstance(event, yaml.ScalarEvent):
            weight = 1
            if anchor:
                weights[anchor] = 1
        else:
            continue
        counts[-1] += weight
        if counts[-1] > MAX_YAML_NODES:
            raise ComposerError(None, None, f"more than {MAX_YAML_NODES} values with its aliases", event.start_mark)


def load_yaml(text: str | bytes, *, source: str = "document") -> Any:
    """Read YAML: plain values only, no tags with code, no alias bombs, duplicate keys refused.

    Args:
        text: The YAML text, UTF-8 if bytes; at most `MAX_YAML_BYTES`.
        source: Name of it in errors.

    Raises:
        DocumentInvalid: It is no such YAML; the message gives line and column.
    """
    if len(text) > MAX_YAML_BYTES:
        raise DocumentInvalid(f"{source} has {len(text)} bytes of YAML, more than {MAX_YAML_BYTES}")
    try:
        decoded = text.decode() if isinstance(text, bytes) else text
        _weigh(decoded)
        return yaml.load(decoded, Loader=_Loader)
    except UnicodeDecodeError as error:
        raise DocumentInvalid(f"{source} is not UTF-8: {error}") from error
    except yaml.YAMLError as error:
        raise DocumentInvalid(f"{source} is not valid YAML: {_where(error)}") from error
    except (RecursionError, ValueError) as error:
        raise DocumentInvalid(f"{source} is not valid YAML: {error}") from error


def _where(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or str(error)
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}" if mark else problem


class _Dumper(yaml.SafeDumper):
    """Indents lists below their key."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    # Unicode line breaks are kept only if they are escaped.
    quoted = any(mark in value for mark in "\x85\u2028\u2029\ufeff")
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style='"' if quoted else None)


_Dumper.add_representer(str, _text)
# Strings that the loader above would read as numbers are quoted.
_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789."))


def dump_yaml(document: BaseModel | dict[str, Any]) -> str:
    """Write a document as YAML with its keys in the contract's order.

    Raises:
        DocumentInvalid: It holds a value that has no place in a configuration file.
    """
    try:
        return yaml.dump(plain(document), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    except yaml.YAMLError as error:
        raise DocumentInvalid(f"The document cannot be written as YAML: {error}") from error
