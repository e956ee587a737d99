"""What documents say of the repository is there: paths, links, the map of folders, lists of terms and decisions."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from swath.api import REGISTRY

ROOT = Path(__file__).resolve().parents[2]
DIAGRAMS = ("flowchart", "sequenceDiagram", "stateDiagram-v2", "classDiagram", "erDiagram")
FOLDERS = ("benchmarks", "charts", "configs", "docs", "examples", "k8s", "libs", "protos", "services", "tests", "tools")
ARCHITECTURE = ("overview", "request", "run", "storage", "trust")


def _tracked(*patterns: str) -> list[str]:
    done = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "--", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return sorted({each for each in done.stdout.splitlines() if (ROOT / each).is_file()})


PAGES = [each for each in _tracked("*.md") if not each.startswith("tools/")]
"""All but the templates of generated pages, whose links are those of the pages."""
OURS = [each for each in PAGES if each.startswith("docs/") or each in ("README.md", "CONTRIBUTING.md")]
"""Pages whose code spans name paths of the repository."""


def _prose(text: str) -> str:
    """Return a page without its code blocks."""
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def _paths(text: str) -> Iterator[str]:
    """Yield the words in code spans that look like paths of the repository, placeholders as `*`."""
    for span in re.findall(r"`([^`\n]+)`", _prose(text)):
        for word in span.split():
            word = word.rstrip(",;:")
            if word.split("/")[0] in FOLDERS and "/" in word and "..." not in word:
                yield from _alternatives(re.sub(r"<[^>]+>", "*", word))


def _alternatives(path: str) -> Iterator[str]:
    found = re.match(r"(.*)\{(.+)\}(.*)", path)
    if found is None:
        yield path
    else:
        for each in found[2].split(","):
            yield from _alternatives(f"{found[1]}{each}{found[3]}")


def _anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", _prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


@pytest.mark.parametrize("page", OURS)
def test_paths_in_code_spans_exist(page: str) -> None:
    missing = [path for path in _paths((ROOT / page).read_text()) if not any(ROOT.glob(path.rstrip("/")))]
    assert not missing


@pytest.mark.parametrize("page", PAGES)
def test_relative_links_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text()
    for target in re.findall(r"\]\(([^)\s]+)\)", _prose(text)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        place = (ROOT / page).parent / path if path else ROOT / page
        assert place.exists(), target
        if anchor:
            assert anchor in _anchors(place.read_text()), target


@pytest.mark.parametrize("page", PAGES)
def test_diagrams_begin_with_their_kind(page: str) -> None:
    for diagram in re.findall(r"^```mermaid\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL):
        assert diagram.split()[0] in DIAGRAMS


@pytest.mark.parametrize("name", ARCHITECTURE)
def test_each_page_of_the_architecture_has_one_diagram_and_is_in_the_index(name: str) -> None:
    assert (ROOT / "docs" / "architecture" / f"{name}.md").read_text().count("```mermaid\n") == 1
    assert f"(architecture/{name}.md)" in (ROOT / "docs" / "index.md").read_text()


def test_the_index_leads_to_every_page() -> None:
    index = (ROOT / "docs" / "index.md").read_text()
    linked = {str((ROOT / "docs" / path).resolve()) for path in re.findall(r"\]\(([^)#\s]+)", index)}
    pages = [each for each in PAGES if each.startswith("docs/") and "/adr/0" not in each and each != "docs/index.md"]
    assert [each for each in pages if str(ROOT / each) not in linked] == []


def test_the_map_names_every_folder() -> None:
    _, _, rest = (ROOT / "CONTRIBUTING.md").read_text().partition("## Where things are\n")
    named = set(re.findall(r"`([^`]+)`", rest.partition("\n## ")[0]))
    files = _tracked()
    folders = {each.split("/")[0] for each in files if "/" in each}
    folders |= {"/".join(each.split("/")[:2]) for each in files if re.match(r"(libs|services)/[^/]+/", each)}
    # Those of libs and services stand for their parents.
    assert {each for each in folders - {"libs", "services"} if each not in named} == set()


def test_terms_are_in_alphabetical_order_and_have_a_file() -> None:
    _, _, table = (ROOT / "docs" / "glossary.md").read_text().partition("## Terms\n")
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in re.findall(r"^\|.+\|$", table, re.MULTILINE)
    ][2:]
    terms = [row[0].casefold() for row in rows]
    assert len(terms) > 80
    assert terms == sorted(set(terms))
    assert all(len(row) == 3 and list(_paths(row[2])) for row in rows)


def test_the_list_of_decisions_is_complete() -> None:
    listed = re.findall(
        r"^\| \[(\d{4})\]\(([^)]+)\) \| (.+) \|$", (ROOT / "docs/adr/README.md").read_text(), re.MULTILINE
    )
    pages = sorted((ROOT / "docs" / "adr").glob("0*.md"))
    assert [name for _, name, _ in listed] == [page.name for page in pages]
    assert [f"# {number} {title}" for number, _, title in listed] == [
        page.read_text().splitlines()[0] for page in pages
    ]


def test_every_public_call_is_found_in_the_page_of_a_request():
    page = (ROOT / "docs" / "architecture" / "request.md").read_text()
    named = set(re.findall(r"\w+", page))
    assert {route.rpartition("/")[2] for route in REGISTRY.routes} - named == set()


@pytest.mark.parametrize("folder", ["libs", "services", "tools", "benchmarks", "charts"])
def test_modules_that_docstrings_name_are_there(folder: str):
    """A path in a code span, such as `runs/database/quotas.py`, is the end of the path of a file."""
    everything = [f"/{each}" for each in _tracked("*.py")]
    missing = [
        f"{module}: {path}"
        for module in _tracked(f"{folder}/*.py")
        for path in re.findall(r"`([\w/]+/\w+\.py)`", (ROOT / module).read_text())
        if not any(each.endswith(f"/{path}") for each in everything)
    ]
    assert missing == []
