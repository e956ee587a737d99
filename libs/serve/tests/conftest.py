"""What users have: modules that grpcio-tools makes of their protos."""

import importlib
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from grpc_tools import protoc

PROTOS = Path(__file__).parent / "protos"


@pytest.fixture(scope="session")
def probe(tmp_path_factory) -> SimpleNamespace:
    """The modules of wire_probe.proto, to be imported by their names as those of users are."""
    folder = tmp_path_factory.mktemp("protos")
    status = protoc.main(
        ["protoc", f"-I{PROTOS}", f"--python_out={folder}", f"--grpc_python_out={folder}", "wire_probe.proto"]
    )
    assert status == 0
    sys.path.insert(0, str(folder))
    yield SimpleNamespace(
        pb=importlib.import_module("wire_probe_pb2"),
        grpc=importlib.import_module("wire_probe_pb2_grpc"),
        folder=folder,
        functions=(
            "wire_probe_pb2_grpc.add_ProbeServicer_to_server",
            "wire_probe_pb2_grpc.add_OtherServicer_to_server",
        ),
    )
    sys.path.remove(str(folder))
