"""What of the chart is generated: the table of values in its README, and what follows from the registry of services.

python charts/generate.py [--check]

README.md            its table, from the comments in values.yaml: lines from `# --` on describe the value below them
files/services.json  the services and other processes, for the templates: ports, who calls whom, routes
files/alerts.yaml    the services that must be up
values.schema.json   the services that values may name
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from swath.api import GATEWAY, REGISTRY, Process, Registry, Service

CHART = Path(__file__).parent / "swath"
_BEGIN, _END = "<!-- values: begin -->", "<!-- values: end -->"
# The expression of the alert on services that are down.
_COMPONENTS = re.compile(r'(up\{app_kubernetes_io_component=~")[^"]*("\})')
# What the gateway hands on as well: one service answers for the health of the suite, and all of it is described where
# users' services are known.
_FRONT = ("grpc.health.v1.Health",)
_CATCH_ALL = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")


class Value(NamedTuple):
    """One row."""

    path: str
    default: str
    text: str


def values(text: str) -> Iterator[Value]:
    """Yield each value that a comment describes, in order."""
    document = yaml.safe_load(text)
    path: list[tuple[int, str]] = []
    comment: list[str] = []
    block = -1
    for line in text.splitlines():
        indent = len(line) - len(line.lstrip())
        words = line.strip()
        if words.startswith("# --"):
            comment = [words.removeprefix("# --").strip()]
        elif words.startswith("#") and comment:
            comment.append(words.removeprefix("#").strip())
        elif not words or words.startswith("#"):
            comment = []
        elif block < 0 or indent <= block:
            key = words.partition(":")[0]
            path = [each for each in path if each[0] < indent] + [(indent, key)]
            keys = [each for _, each in path]
            block = -1
            if comment:
                yield Value(".".join(keys), _shown(_found(document, keys)), " ".join(comment))
                # What lies below a value with a description is part of its default.
                block = indent
            comment = []


def _found(document: Any, keys: list[str]) -> Any:
    for key in keys:
        document = document[key]
    return document


def _shown(value: Any) -> str:
    return json.dumps(value, separators=(", ", ": "), ensure_ascii=False)


def table(rows: Iterator[Value]) -> str:
    """Return the rows in Markdown."""
    lines = ["| value | default | |", "|---|---|---|"]
    lines += [f"| `{row.path}` | `{row.default}` | {row.text.replace('|', chr(92) + '|')} |" for row in rows]
    return "\n".join(lines)


def readme(text: str, rows: Iterator[Value]) -> str:
    """Return the README with its table made anew."""
    before, found, rest = text.partition(_BEGIN)
    _, ended, after = rest.partition(_END)
    if not (found and ended):
        raise SystemExit(f"README.md has no {_BEGIN} ... {_END}")
    return f"{before}{_BEGIN}\n{table(rows)}\n{_END}{after}"


def services(registry: Registry) -> str:
    """Return what templates ask of the registry: the names in order, and each process by its name."""
    processes = (*registry.services, *registry.processes)
    found = {
        "services": registry.names,
        "identities": registry.identities,
        "processes": {each.name: _process(each, registry) for each in processes},
    }
    return json.dumps(found, indent=2) + "\n"


def _process(process: Process, registry: Registry) -> dict[str, Any]:
    ports = {name: port for name, port in vars(process.ports).items() if port}
    found: dict[str, Any] = {"ports": ports, "calls": registry.callees(process.name)}
    if isinstance(process, Service):
        methods = [path[1:].split("/") for path, owner in registry.routes.items() if owner == process.name]
        routes = [{"service": service, "method": method} for service, method in methods]
        if process.front:
            routes += [{"service": name} for name in _FRONT]
        if process.name == registry.catch_all:
            routes += [{"service": name} for name in _CATCH_ALL]
        found |= {
            "health": process.health_name,
            "database": process.database,
            "queue": process.queue,
            "catchAll": process.name == registry.catch_all,
            "routes": routes,
        }
    return found


def schema(text: str, registry: Registry) -> str:
    """Return the schema of values with the names of the services made anew."""
    document = json.loads(text)
    values, own = document["properties"], document["properties"]["services"]["properties"]
    values["services"]["properties"] = dict.fromkeys(registry.names, next(iter(own.values())))
    secrets = values["tls"]["properties"]["existingSecrets"]
    secrets["properties"] = dict.fromkeys(registry.identities, next(iter(secrets["properties"].values())))
    return json.dumps(document, indent=2) + "\n"


def alerts(text: str, registry: Registry) -> str:
    """Return the alerts with the components that must be up made anew."""
    components = "|".join((*registry.names, GATEWAY))
    made, count = _COMPONENTS.subn(lambda found: f"{found[1]}{components}{found[2]}", text)
    if count != 1:
        raise SystemExit(f"alerts.yaml: expected one {_COMPONENTS.pattern}, found {count}")
    return made


def files(chart: Path, registry: Registry = REGISTRY) -> dict[Path, str]:
    """Return each file as it should be, by its place."""
    rows = values((chart / "values.yaml").read_text())
    alerting, values_schema = chart / "files" / "alerts.yaml", chart / "values.schema.json"
    return {
        chart / "README.md": readme((chart / "README.md").read_text(), rows),
        chart / "files" / "services.json": services(registry),
        alerting: alerts(alerting.read_text(), registry),
        values_schema: schema(values_schema.read_text(), registry),
    }


def main() -> int:
    """Write the files, or name those that are out of date; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; fail where something is out of date")
    check = parser.parse_args().check
    wanted = files(CHART)
    stale = [place for place, text in wanted.items() if not place.exists() or place.read_text() != text]
    for place in stale:
        if check:
            print(f"charts/{place.relative_to(CHART.parent)} is out of date: make gen", file=sys.stderr)
        else:
            place.write_text(wanted[place])
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
