"""Which pipelines a server offers, and which paths name one."""

import pytest

from swath.errors import DocumentInvalid, FileMissing, InvalidInput, PathDenied
from swath_pipeline.catalogue import Discovery


@pytest.fixture
def discovery(workspace):
    return Discovery(workspace)


async def test_shipped_and_own_pipelines_are_listed_by_path(discovery, own):
    (own / "a.yaml").write_text("nodes: []")
    assert [(each.path, each.metadata.name) for each in await discovery.all()] == [
        ("a.yaml", "a"),
        ("rx.yaml", "shipped"),
    ]


async def test_an_own_pipeline_hides_the_shipped_one_of_its_path(discovery, own):
    (own / "rx.yaml").write_text("metadata: {name: own}")
    assert (await discovery.one("rx.yaml")).metadata.name == "own"
    assert [each.metadata.name for each in await discovery.all()] == ["own"]


async def test_a_tag_matches_whatever_its_case(discovery):
    assert [each.path for each in await discovery.all("aNOMALY")] == ["rx.yaml"]
    assert await discovery.all("medical") == []


async def test_a_file_that_is_no_pipeline_hides_no_other(discovery, own, tmp_path):
    (own / "broken.yaml").write_text("{")
    (own / "large.yaml").write_text("#" * 1024 * 1025)
    (tmp_path / "outside.yaml").write_text("metadata: {name: secret}")
    (own / "link.yaml").symlink_to(tmp_path / "outside.yaml")
    assert [(each.path, each.metadata.name) for each in await discovery.all()] == [
        ("broken.yaml", "broken"),
        ("rx.yaml", "shipped"),
    ]


@pytest.mark.parametrize("path", ["", "/rx.yaml", "rx", "a//b.yaml", "./rx.yaml", "../rx.yaml", "a\\b.yaml"])
async def test_what_is_no_relative_yaml_path_is_refused(discovery, path):
    with pytest.raises(InvalidInput, match="pipeline_path"):
        await discovery.one(path)


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("none.yaml", FileMissing),
        ("a" * 300 + ".yaml", PathDenied),
        ("a/" * 3000 + "b.yaml", PathDenied),
        ("\0.yaml", PathDenied),
    ],
)
async def test_what_is_not_there_or_cannot_be_is_refused(discovery, path, error):
    with pytest.raises(error):
        await discovery.one(path)


async def test_a_file_too_large_for_a_pipeline_is_not_read(discovery, own):
    (own / "large.yaml").write_text("#" * 1024 * 1025)
    with pytest.raises(DocumentInvalid, match="bytes"):
        await discovery.one("large.yaml")
