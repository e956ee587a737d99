"""Makes the Python code of protos/ in this library and in libs/serve, or checks that it is up to date.

    python libs/api/generate.py           write
    python libs/api/generate.py --check   exit 1 and name the files that differ

Three things are unusual. Two are explained in docs/adr/0002: cuvis_ai.v1 is compiled under the file name that other
packages register it by, with JSON names in its descriptor as theirs has them; and its Python package is
swath.cuvis_ai.v1, since PyPI's cuvis-ai owns the name cuvis_ai. The third in docs/adr/0040: messages whose names other
packages register in another form are in a pool of their own.
"""

from __future__ import annotations

import argparse
import filecmp
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from google.protobuf import descriptor_pb2
from grpc_tools import protoc

REPOSITORY = Path(__file__).resolve().parents[2]
PROTOS = REPOSITORY / "protos"
TARGET = REPOSITORY / "libs" / "api" / "src"
SERVE = REPOSITORY / "libs" / "serve" / "src"
"""What users of swath.serve import by Ray's names lies below that package."""


@dataclass(frozen=True)
class Adopted:
    """A proto file whose Python code lives elsewhere than its name says.

    Attributes:
        source: Path below protos/.
        name: File name that it is compiled and registered under.
        package: Python package that its code goes to.
        json_names: Whether its descriptor carries JSON names, as that of the other package which registers it does.
        own_pool: Whether its messages are in a pool of their own, as other packages register the same names.
    """

    source: str
    name: str
    package: str
    json_names: bool
    own_pool: bool = False


ADOPTED = (
    Adopted(
        "cuvis_ai/v1/cuvis_ai.proto", "cuvis_ai_schemas/grpc/v1/cuvis_ai.proto", "swath.cuvis_ai.v1", json_names=True
    ),
    Adopted(
        "grpc/reflection/v1/reflection.proto",
        "grpc/reflection/v1/reflection.proto",
        "swath.reflection.v1",
        json_names=False,
    ),
    Adopted("redhare/stream.proto", "redhare/stream.proto", "swath.redhare", json_names=False, own_pool=True),
    Adopted(
        "grpc/health/v1/health.proto",
        "grpc/health/v1/health.proto",
        "swath.health.v1",
        json_names=False,
        own_pool=True,
    ),
    Adopted(
        "inference/open_inference.proto",
        "inference/open_inference.proto",
        "swath.inference",
        json_names=False,
        own_pool=True,
    ),
    Adopted(
        "experiment_service/experiment_service.proto",
        "experiment_service/experiment_service.proto",
        "swath.experiment_service",
        json_names=False,
        own_pool=True,
    ),
    Adopted("ray/serve/serve.proto", "ray/serve/serve.proto", "swath.serve.generated", json_names=False, own_pool=True),
)

_SERIALIZED = re.compile(r"""AddSerializedFile\(b(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")\)""")
_OFFSETS = re.compile(r"^\s*_globals\['[^']+'\]\._serialized_(?:start|end)=\d+\n", re.MULTILINE)


def compile_all(out: Path) -> None:
    """Compile every proto into `out`, as packages below swath."""
    sources = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.glob("swath/**/*.proto"))
    virtual = [f"-I{Path(adopted.name).parent}={PROTOS / Path(adopted.source).parent}" for adopted in ADOPTED]
    includes = [*virtual, f"-I{PROTOS}", f"-I{resources.files('grpc_tools') / '_proto'}"]
    names = [adopted.name for adopted in ADOPTED]
    _protoc([*includes, f"--python_out={out}", f"--pyi_out={out}", f"--grpc_python_out={out}", *names, *sources])
    for adopted in ADOPTED:
        _adopt(adopted, out, _descriptor(adopted, includes, out) if adopted.json_names else None)
    for top in {Path(adopted.name).parts[0] for adopted in ADOPTED}:
        shutil.rmtree(out / top)
    for folder in {path.parent for path in out.glob("swath/**/*.py")}:
        for name in ("__init__.py", "py.typed"):
            (folder / name).touch()


def _protoc(arguments: list[str]) -> None:
    if protoc.main(["protoc", *arguments]) != 0:
        raise SystemExit("protoc failed")


def _descriptor(adopted: Adopted, includes: list[str], out: Path) -> bytes:
    """Return the file's descriptor with JSON names; protoc writes them into descriptor sets, not into Python code."""
    written = out / "descriptors.bin"
    _protoc([*includes, f"--descriptor_set_out={written}", adopted.name])
    file = descriptor_pb2.FileDescriptorSet.FromString(written.read_bytes()).file[0]
    written.unlink()
    return file.SerializeToString()


def _adopt(adopted: Adopted, out: Path, descriptor: bytes | None) -> None:
    """Move compiled code to its package below swath."""
    source, target = out / Path(adopted.name).parent, out / adopted.package.replace(".", "/")
    target.mkdir(parents=True, exist_ok=True)
    module = ".".join(Path(adopted.name).parent.parts)
    for path in source.iterdir():
        text = path.read_text().replace(f"from {module} import", f"from {adopted.package} import")
        if descriptor is not None and path.name.endswith("_pb2.py"):
            text = _with_descriptor(text, descriptor)
        if adopted.own_pool and path.name.endswith("_pb2.py"):
            text = _in_own_pool(text)
        (target / path.name).write_text(text)


def _with_descriptor(text: str, descriptor: bytes) -> str:
    """Put another serialization of the same descriptor into generated code.

    The byte offsets that follow it serve the pure-Python runtime only, and would no longer fit: they go.
    """
    replaced, count = _SERIALIZED.subn(lambda _: f"AddSerializedFile({descriptor!r})", text)
    if count != 1:
        raise SystemExit("the generated code has another form than expected: no serialized descriptor found")
    return _OFFSETS.sub("", replaced)


def _in_own_pool(text: str) -> str:
    """Have generated code register its descriptor in a pool that nobody else has."""
    replaced = text.replace("_descriptor_pool.Default()", "_descriptor_pool.DescriptorPool()")
    if replaced.count("_descriptor_pool.DescriptorPool()") != 1:
        raise SystemExit("the generated code has another form than expected: not one use of the pool found")
    return replaced


def target(path: Path) -> Path:
    """Return where a compiled file belongs.

    Args:
        path: Relative to what `compile_all` fills.
    """
    return (SERVE if path.parts[:2] == ("swath", "serve") else TARGET) / path


def differences(fresh: Path) -> list[Path]:
    """Return generated files that differ from those in the tree, are missing there, or should no longer be there.

    Args:
        fresh: What `compile_all` has filled; the files are relative to it.
    """
    wanted = {path.relative_to(fresh) for path in fresh.rglob("*.py*")}
    present = {
        path.relative_to(root)
        for pattern in ("*_pb2.py", "*_pb2.pyi", "*_pb2_grpc.py")
        for root in (TARGET, SERVE)
        for path in root.rglob(pattern)
    }
    changed = {path for path in wanted & present if not filecmp.cmp(fresh / path, target(path), shallow=False)}
    missing = {path for path in wanted - present if path.name != "__init__.py"}
    return sorted(changed | missing | (present - wanted))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the tree is out of date")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)
        compile_all(fresh)
        outdated = differences(fresh)
        if arguments.check:
            for path in outdated:
                print(f"out of date: {path} (run `make gen`)", file=sys.stderr)
            return 1 if outdated else 0
        for path in outdated:
            target(path).unlink(missing_ok=True)
        for path in fresh.rglob("*"):
            place = target(path.relative_to(fresh))
            if path.is_file() and not (place.exists() and path.name == "__init__.py"):
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, place)
    print(f"{len(outdated)} files changed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
