"""A service that there is not: its entry in the registry, its proto, its folder."""

from __future__ import annotations

import importlib.resources
import sys
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2, descriptor_pool
from grpc_tools import protoc

from swath.api import REGISTRY, SESSION_AUTHORITY, GrpcService, Method, Registry, Service, Slice

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))  # for tools

PUBLIC = GrpcService("swath.toy.v1.ToyService", "swath/toy/v1/toy.proto", public=True)
PRIVATE = GrpcService("swath.toy.v1.ToyShare", "swath/toy/v1/toy.proto")

# The entry.
TOY = Service(
    "toy",
    image="core",
    balancing="least_request",
    database=True,
    queue=True,
    local_replicas=2,
    calls={SESSION_AUTHORITY: ("ReadSessions",), PRIVATE.name: ("Share",)},
    owns=(
        Slice(PUBLIC, (Method("Play", mutating=True), Method("Look", idempotent=True))),
        Slice(PRIVATE, (Method("Share", idempotent=True),)),
    ),
)

_PROTO = """
syntax = "proto3";
package swath.toy.v1;

message Toy { string name = 1; }

service ToyService {
  rpc Play(Toy) returns (Toy);
  rpc Look(Toy) returns (stream Toy);
}

service ToyShare {
  rpc Share(Toy) returns (Toy);
}
"""

_PYPROJECT = """
[project]
name = "swath-toy"
version = "0.1.0"
dependencies = ["swath-api", "swath-runtime"]
"""


@pytest.fixture(scope="session")
def registry() -> Registry:
    """The registry with one entry more."""
    return Registry((*REGISTRY.services, TOY), REGISTRY.processes)


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository with the proto and the folder of the service: what is generated lies in copies."""
    root = tmp_path_factory.mktemp("repository")
    (root / "libs").symlink_to(REPOSITORY / "libs")
    (root / "services").mkdir()
    for place in (REPOSITORY / "services").glob("*/pyproject.toml"):
        (root / "services" / place.parent.name).symlink_to(place.parent)
    for name in (".importlinter", "skaffold.yaml", "services/Dockerfile", "k8s/skaffold/values.yaml"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text((REPOSITORY / name).read_text())
    package = root / "services" / "toy" / "src" / "swath_toy"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (root / "services" / "toy" / "pyproject.toml").write_text(_PYPROJECT)
    proto = root / "protos" / PUBLIC.proto
    proto.parent.mkdir(parents=True)
    proto.write_text(_PROTO)
    return root


@pytest.fixture(scope="session")
def messages(repository: Path) -> None:
    """What `make gen` makes of the proto, as far as protobuf itself must know it."""
    out = repository / "descriptors.bin"
    includes = [f"-I{repository / 'protos'}", f"-I{importlib.resources.files('grpc_tools') / '_proto'}"]
    assert protoc.main(["protoc", *includes, f"--descriptor_set_out={out}", PUBLIC.proto]) == 0
    for file in descriptor_pb2.FileDescriptorSet.FromString(out.read_bytes()).file:
        descriptor_pool.Default().AddSerializedFile(file.SerializeToString())
