"""Schemas of the Kubernetes objects that the chart makes, for checks that need no cluster.

    python tools/schemas.py            write tools/schemas/ anew (fetches some 200 MB)
    python tools/schemas.py --crds DIR write the custom resource definitions that the chart's objects are of

Both come from the Go module proxy, where Kubernetes, cert-manager, the Gateway API, KEDA and the Prometheus operator
publish theirs. What is kept of them is form alone: descriptions are left out, and names that there are not are refused.
"""

from __future__ import annotations

import argparse
import io
import json
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

PLACE = Path(__file__).parent / "schemas"
_PROXY = "https://proxy.golang.org"
_KUBERNETES = {
    "1.30": "v1.30.14",
    "1.31": "v1.31.14",
    "1.32": "v1.32.13",
    "1.33": "v1.33.13",
    "1.34": "v1.34.4",
}
_KINDS = (
    "apps.v1.Deployment",
    "apps.v1.StatefulSet",
    "autoscaling.v2.HorizontalPodAutoscaler",
    "batch.v1.CronJob",
    "batch.v1.Job",
    "core.v1.ConfigMap",
    "core.v1.Pod",
    "core.v1.Secret",
    "core.v1.Service",
    "core.v1.ServiceAccount",
    "networking.v1.NetworkPolicy",
    "policy.v1.PodDisruptionBudget",
    "rbac.v1.Role",
    "rbac.v1.RoleBinding",
)
_EXTENSIONS = {
    ("github.com/cert-manager/cert-manager", "v1.21.2", "deploy/crds"): (
        "cert-manager.io_certificates.yaml",
        "cert-manager.io_clusterissuers.yaml",
        "cert-manager.io_issuers.yaml",
    ),
    ("sigs.k8s.io/gateway-api", "v1.7.0", "config/crd/standard"): (
        "gateway.networking.k8s.io_backendtlspolicies.yaml",
        "gateway.networking.k8s.io_gatewayclasses.yaml",
        "gateway.networking.k8s.io_gateways.yaml",
        "gateway.networking.k8s.io_grpcroutes.yaml",
    ),
    ("github.com/kedacore/keda/v2", "v2.21.0", "config/crd/bases"): ("keda.sh_scaledobjects.yaml",),
    (
        "github.com/prometheus-operator/prometheus-operator",
        "v0.85.0",
        "example/prometheus-operator-crd",
    ): (
        "monitoring.coreos.com_podmonitors.yaml",
        "monitoring.coreos.com_prometheusrules.yaml",
        "monitoring.coreos.com_servicemonitors.yaml",
    ),
}
_ROOT = "io.k8s.api."


def module(name: str, version: str) -> zipfile.ZipFile:
    """Fetch a Go module."""
    with urllib.request.urlopen(f"{_PROXY}/{name}/@v/{version}.zip", timeout=300) as answer:
        return zipfile.ZipFile(io.BytesIO(answer.read()))


def definitions() -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each custom resource definition."""
    for (name, version, folder), files in _EXTENSIONS.items():
        with module(name, version) as archive:
            for file in files:
                yield file, archive.read(f"{name}@{version}/{folder}/{file}").decode()


def kubernetes(version: str) -> dict[str, Any]:
    """Return the definitions of a release that the chart's objects are made of."""
    with module("k8s.io/kubernetes", version) as archive:
        text = archive.read(f"k8s.io/kubernetes@{version}/api/openapi-spec/swagger.json")
    known = json.loads(text)["definitions"]
    kept: dict[str, Any] = {}
    wanted = [_ROOT + kind for kind in _KINDS]
    while wanted:
        name = wanted.pop()
        if name not in kept:
            kept[name] = form(known[name])
            wanted += references(known[name])
    # The server takes numbers as well.
    kept["io.k8s.apimachinery.pkg.api.resource.Quantity"] = {"type": ["string", "number"]}
    return dict(sorted(kept.items()))


def references(schema: Any) -> Iterator[str]:
    """Yield the names of definitions that one refers to."""
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"].rpartition("/")[2]
        for each in schema.values():
            yield from references(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from references(each)


def form(schema: Any) -> Any:
    """Return a schema without words, and closed to names that it does not have."""
    if isinstance(schema, list):
        return [form(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("x-kubernetes-int-or-string") or schema.get("format") == "int-or-string":
        return {"type": ["string", "integer"]}
    found = {
        key: {name: form(each) for name, each in value.items()} if key == "properties" else form(value)
        for key, value in schema.items()
        # A property may be called description; what describes is text.
        if not (key in ("description", "default") or key.startswith("x-kubernetes-"))
    }
    if "properties" in found and "additionalProperties" not in found and not schema.get(_OPEN):
        found["additionalProperties"] = False
    return found


_OPEN = "x-kubernetes-preserve-unknown-fields"


def extensions() -> dict[str, Any]:
    """Return the schema of each version of each custom kind, by `kind-group-version` in lower case."""
    found = {}
    for _, text in definitions():
        spec = yaml.safe_load(text)["spec"]
        group, kind = spec["group"], spec["names"]["kind"]
        for version in spec["versions"]:
            schema = form(version["schema"]["openAPIV3Schema"])
            # Definitions leave metadata to the server.
            schema["properties"]["metadata"] = {"type": "object"}
            found[f"{kind}-{group.partition('.')[0]}-{version['name']}".lower()] = schema
    return dict(sorted(found.items()))


def write(place: Path, document: dict[str, Any]) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    # One definition a line: what a new release changes can be read.
    lines = (f"{json.dumps(name)}: {json.dumps(each, separators=(',', ':'))}" for name, each in document.items())
    place.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print(place, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--crds", type=Path, metavar="DIR", help="write definitions for a cluster, and nothing else")
    folder = parser.parse_args().crds
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in definitions():
            (folder / name).write_text(text)
        return
    write(PLACE / "extensions.json", extensions())
    for release, version in _KUBERNETES.items():
        write(PLACE / f"kubernetes-{release}.json", kubernetes(version))


if __name__ == "__main__":
    main()
