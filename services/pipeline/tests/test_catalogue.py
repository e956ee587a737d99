"""Which pipelines a server offers, and which paths name one."""

import pytest

from swath.errors import DocumentInvalid, FileMissing, InvalidInput, PathDenied
from swath_pipeline.catalogue import PipelineCatalogue


@pytest.fixture
def catalogue(workspace):
    return PipelineCatalogue(workspace)


async def test_shipped_and_own_pipelines_are_listed_by_path(catalogue, own):
    (own / "a.yaml").write_text("nodes: []")
    assert [(each.path, each.metadata.name) for each in await catalogue.all()] == [
        ("a.yaml", "a"),
        ("rx.yaml", "shipped"),
    ]


async def test_an_own_pipeline_hides_the_shipped_one_of_its_path(catalogue, own):
    (own / "rx.yaml").write_text("metadata: {name: own}")
    assert (await catalogue.one("rx.yaml")).metadata.name == "own"
    assert [each.metadata.name for each in await catalogue.all()] == ["own"]


async def test_a_tag_matches_whatever_its_case(catalogue):
    assert [each.path for each in await catalogue.all("aNOMALY")] == ["rx.yaml"]
    assert await catalogue.all("medical") == []


async def test_a_file_that_is_no_pipeline_hides_no_other(catalogue, own, tmp_path):
    (own / "broken.yaml").write_text("{")
    (own / "large.yaml").write_text("#" * 1024 * 1025)
    (tmp_path / "outside.yaml").write_text("metadata: {name: secret}")
    (own / "link.yaml").symlink_to(tmp_path / "outside.yaml")
    assert [(each.path, each.metadata.name) for each in await catalogue.all()] == [
        ("broken.yaml", "broken"),
        ("rx.yaml", "shipped"),
    ]


@pytest.mark.parametrize("path", ["", "/rx.yaml", "rx", "a//b.yaml", "./rx.yaml", "../rx.yaml", "a\\b.yaml"])
async def test_what_is_no_relative_yaml_path_is_refused(catalogue, path):
    with pytest.raises(InvalidInput, match="pipeline_path"):
        await catalogue.one(path)


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("none.yaml", FileMissing),
        ("a" * 300 + ".yaml", PathDenied),
        ("a/" * 3000 + "b.yaml", PathDenied),
        ("\0.yaml", PathDenied),
    ],
)
async def test_what_is_not_there_or_cannot_be_is_refused(catalogue, path, error):
    with pytest.raises(error):
        await catalogue.one(path)


async def test_a_file_too_large_for_a_pipeline_is_not_read(catalogue, own):
    (own / "large.yaml").write_text("#" * 1024 * 1025)
    with pytest.raises(DocumentInvalid, match="bytes"):
        await catalogue.one("large.yaml")
