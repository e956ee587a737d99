"""What must be in a wheel and in a source distribution, and what must not."""

from __future__ import annotations

import tarfile
from collections.abc import Iterable
from email.message import Message
from email.parser import BytesParser
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

from packaging.metadata import InvalidMetadata, Metadata
from packaging.requirements import Requirement

from tools.release_check.building import Built
from tools.release_check.progress import CheckError, require
from tools.release_check.sources import repository_files, version


def check_metadata(built: Built, names: Iterable[str]) -> None:
    """Check what an installer reads of a distribution.

    Args:
        built: The distribution.
        names: All distributions of this repository.

    Raises:
        CheckError: The metadata of its wheel or of its source distribution is invalid, the two differ in what they
            require, the version is another one, or another distribution of this repository is required in any other.
    """
    of_wheel, of_sdist = (_metadata(raw, built.of.name) for raw in (_wheel_metadata(built.wheel), _pkg_info(built)))
    for found in (of_wheel, of_sdist):
        require(found.name == built.of.name, f"{built.of.name} is called {found.name}")
        require(str(found.version) == version(), f"{built.of.name} has version {found.version}")
        require(str(found.requires_python) == ">=3.11", f"{built.of.name} is for Python {found.requires_python}")
        require(found.license_expression == "Apache-2.0", f"{built.of.name}: license {found.license_expression}")
        require(found.license_files == ["LICENSE"], f"{built.of.name} comes without its license")
        require(found.summary, f"{built.of.name} has no description")
    require(
        sorted(map(str, of_wheel.requires_dist or ())) == sorted(map(str, of_sdist.requires_dist or ())),
        f"{built.of.name}: the wheel requires something else than the source distribution",
    )
    ours = set(names)
    for requirement in of_wheel.requires_dist or ():
        require(requirement.url is None, f"{built.of.name} requires a place, which no index takes: {requirement}")
        if requirement.name in ours:
            exact = str(requirement.specifier) == f"=={version()}"
            require(exact, f"{built.of.name} requires {requirement}, expected =={version()}")


def requirements(wheel: Path) -> list[Requirement]:
    """Return what a wheel requires, extras included."""
    return _metadata(_wheel_metadata(wheel), wheel.name).requires_dist or []


def closure(name: str, all_built: Iterable[Built]) -> list[Built]:
    """Return a distribution and those of this repository that it requires, directly or not."""
    by_name = {each.of.name: each for each in all_built}
    found: dict[str, Built] = {}
    wanted = [name]
    while wanted:
        each = by_name[wanted.pop()]
        if each.of.name not in found:
            found[each.of.name] = each
            wanted += [one.name for one in requirements(each.wheel) if one.name in by_name]
    return list(found.values())


def check_files(built: Built) -> None:
    """Check that a wheel holds the sources and nothing else, and a source distribution all that it is built of.

    Raises:
        CheckError: A file is missing or should not be there, or a package is not marked as typed.
    """
    files = wheel_files(built.wheel)
    source = built.of.folder / "src"
    expected = {file.relative_to(source).as_posix() for file in repository_files(source)}
    if built.of.name == "swath-standalone":
        expected |= {f"swath_standalone/{file.as_posix()}" for file in repository_files("configs")}
    _same(files, expected, built.wheel.name)
    _check_typed(files, built.wheel.name)
    carried = {file.relative_to(built.of.folder).as_posix() for file in repository_files(built.of.folder)}
    missing = carried - _sdist_files(built.sdist)
    require(not missing, f"{built.sdist.name} lacks {', '.join(sorted(missing))}")


def check_both_wheels(built: Built) -> None:
    """Check that a wheel comes out the same whatever it is built of, to the byte.

    Raises:
        CheckError: Some file differs.
    """
    with ZipFile(built.wheel) as one, ZipFile(built.direct) as other:
        _same(set(one.namelist()), set(other.namelist()), f"{built.wheel.name}, built of its source distribution,")
        different = [name for name in one.namelist() if one.read(name) != other.read(name)]
    require(not different, f"{built.wheel.name} depends on what it is built of: {', '.join(different)}")


def check_apart(all_built: Iterable[Built]) -> None:
    """Check that no file is in two wheels, as the second one to be installed would replace that of the first.

    Raises:
        CheckError: One is.
    """
    owners: dict[str, str] = {}
    for built in all_built:
        for file in wheel_files(built.wheel):
            other = owners.setdefault(file, built.of.name)
            require(other == built.of.name, f"{file} is in {other} and in {built.of.name}")


def wheel_files(wheel: Path) -> set[str]:
    """Return what a wheel installs, without what describes the wheel."""
    with ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
    return {name for name in names if not PurePosixPath(name).parts[0].endswith(".dist-info")}


def _check_typed(files: set[str], wheel: str) -> None:
    """Check the marker of PEP 561: in each outermost package, since a namespace cannot carry it for its packages."""
    packages = {str(PurePosixPath(file).parent) for file in files if PurePosixPath(file).name == "__init__.py"}
    outermost = {each for each in packages if not any(str(up) in packages for up in PurePosixPath(each).parents)}
    require("swath" not in packages, f"{wheel} takes the namespace `swath` for itself")
    untyped = sorted(each for each in outermost if f"{each}/py.typed" not in files)
    require(outermost and not untyped, f"{wheel} has no py.typed in {', '.join(untyped) or 'any package'}")
    loose = sorted(
        file
        for file in files
        if file.endswith(".py") and not any(str(up) in outermost for up in PurePosixPath(file).parents)
    )
    require(not loose, f"{wheel} has modules that no py.typed is for: {', '.join(loose)}")


def _same(found: set[str], expected: set[str], what: str) -> None:
    differences = [f"without {name}" for name in sorted(expected - found)]
    differences += [f"with {name}" for name in sorted(found - expected)]
    require(not differences, f"{what} comes {', '.join(differences)}")


def _metadata(raw: bytes, what: str) -> Metadata:
    try:
        return Metadata.from_email(raw, validate=True)
    except (InvalidMetadata, ExceptionGroup) as error:
        causes = getattr(error, "exceptions", (error,))
        raise CheckError(f"{what}: {'; '.join(map(str, causes))}") from None


def _wheel_metadata(wheel: Path) -> bytes:
    with ZipFile(wheel) as archive:
        folder = "-".join(wheel.name.split("-")[:2]) + ".dist-info"
        described: Message = BytesParser().parsebytes(archive.read(f"{folder}/WHEEL"))
        require(described["Tag"] == "py3-none-any", f"{wheel.name} is for {described['Tag']}")
        return archive.read(f"{folder}/METADATA")


def _pkg_info(built: Built) -> bytes:
    with tarfile.open(built.sdist) as archive:
        file = archive.extractfile(f"{built.sdist.name.removesuffix('.tar.gz')}/PKG-INFO")
        if file is None:
            raise CheckError(f"{built.sdist.name} has no PKG-INFO")
        return file.read()


def _sdist_files(sdist: Path) -> set[str]:
    with tarfile.open(sdist) as archive:
        return {str(PurePosixPath(*PurePosixPath(each.name).parts[1:])) for each in archive if each.isfile()}
