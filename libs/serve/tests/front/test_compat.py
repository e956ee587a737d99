"""Imports of Ray Serve that lead to Swath."""

import importlib
import subprocess
import sys
from importlib.machinery import PathFinder

import pytest

from swath import serve
from swath.serve import compat, config
from swath.serve.generated import serve_pb2_grpc


@pytest.fixture
def shim():
    assert compat.install()
    yield
    compat.uninstall()


@pytest.mark.usefixtures("shim")
def test_all_names_are_the_same_modules():
    ray = importlib.import_module("ray")
    assert importlib.import_module("ray.serve") is serve
    assert ray.serve is serve
    assert importlib.import_module("ray.serve.config").gRPCOptions is config.gRPCOptions
    assert importlib.import_module("ray.serve.generated.serve_pb2_grpc") is serve_pb2_grpc
    assert serve.__spec__.name == "swath.serve"
    assert config.__spec__.name == config.__name__ == "swath.serve.config"
    ray.init(num_cpus=2)
    assert ray.is_initialized()


@pytest.mark.usefixtures("shim")
def test_what_swath_lacks_is_not_there():
    with pytest.raises(ModuleNotFoundError, match=r"ray\.serve\.nothing"):
        importlib.import_module("ray.serve.nothing")
    with pytest.raises(ModuleNotFoundError, match=r"ray\.data"):
        importlib.import_module("ray.data")


def test_a_real_ray_is_left_alone(monkeypatch):
    monkeypatch.setattr(PathFinder, "find_spec", lambda name, *more: object())
    assert not compat.install()
    assert "ray" not in sys.modules
    assert compat.install(replace=True)
    compat.uninstall()


def test_a_real_ray_that_was_imported_is_never_replaced(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", object())
    with pytest.raises(RuntimeError, match="imported already"):
        compat.install(replace=True)


def test_a_program_runs_as_it_is(tmp_path):
    program = tmp_path / "theirs.py"
    program.write_text(
        "import sys, ray\nfrom ray import serve\nfrom ray.serve.handle import DeploymentHandle\n"
        "ray.init()\n@serve.deployment\nclass App: ...\n"
        "print(type(App.bind()).__module__, DeploymentHandle.__module__, sys.argv[1:])\n"
    )
    said = subprocess.run(
        [sys.executable, "-m", "swath.serve.compat", str(program), "--x", "1"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert said.split() == ["swath.serve.deployment", "swath.serve.handle", "['--x',", "'1']"]
