"""Wheels and source distributions: what is in them, what they require, and that the client needs no other."""

from __future__ import annotations

import pytest

from tools.release_check.artifacts import check_apart, check_both_wheels, check_files, check_metadata
from tools.release_check.building import Built
from tools.release_check.client_alone import check_command, check_library, check_types
from tools.release_check.environments import Environment
from tools.release_check.sources import distributions, pinned

NAMES = [each.name for each in distributions()]

# One worker builds them for all tests.
pytestmark = [pytest.mark.xdist_group("release"), pytest.mark.timeout(600)]


@pytest.fixture(params=NAMES)
def one(request: pytest.FixtureRequest, built: list[Built]) -> Built:
    """Each distribution in turn."""
    return built[NAMES.index(request.param)]


def test_metadata_is_valid_and_requires_the_other_distributions_in_the_same_version(one: Built) -> None:
    check_metadata(one, NAMES)


def test_wheel_holds_the_typed_sources_alone_and_the_source_distribution_all_that_it_is_built_of(one: Built) -> None:
    check_files(one)


def test_wheel_is_the_same_whether_built_of_the_repository_or_of_the_source_distribution(one: Built) -> None:
    check_both_wheels(one)


def test_no_file_is_in_two_wheels(built: list[Built]) -> None:
    check_apart(built)


def test_client_alone_brings_nothing_of_the_server_and_runs(client: Environment) -> None:
    check_command(client)
    check_library(client, "client_alone.py")


def test_a_strict_type_checker_finds_the_types_of_what_is_installed(client: Environment) -> None:
    check_types(client, "typed.py")


def test_only_requirements_of_our_distributions_are_pinned() -> None:
    project = """
dependencies = [
    "swath-api",
    "swath-gateway[envoy]",
    "swath-unknown",
    "grpcio>=1.80",
]

[tool.uv.sources]
swath-api = { workspace = true }
"""
    expected = project.replace('"swath-api"', '"swath-api==1.2.3"').replace("[envoy]", "[envoy]==1.2.3")
    assert pinned(project, {"swath-api", "swath-gateway"}, "1.2.3") == expected
