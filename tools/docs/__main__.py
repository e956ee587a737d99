"""Writes docs/reference/{settings,metrics,errors}.md and the names of settings: `python -m tools.docs [--check]`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tools import generated_files
from tools.docs import errors_page, metrics_page, settings_page
from tools.docs.commands import options
from tools.docs.errors import Errors
from tools.docs.metrics import metrics
from tools.docs.settings import Settings
from tools.docs.sources import Sources

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "reference"
NAMES = ROOT / "libs" / "runtime" / "src" / "swath" / "runtime" / "variables.txt"
"""What processes, which have but some of the packages, know mistyped variables by."""


def pages() -> dict[Path, str]:
    """Return each page as it should be."""
    sources = Sources()
    settings, named = Settings(sources), options(sources)
    return {
        FOLDER / "settings.md": settings_page.render(settings, named),
        NAMES: settings_page.names(settings, named),
        FOLDER / "metrics.md": metrics_page.render(metrics(sources), ROOT / "charts" / "swath" / "files"),
        FOLDER / "errors.md": errors_page.render(Errors(sources)),
    }


def main() -> int:
    """Write the pages, or say which ones are out of date; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.docs", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; fail where a page is out of date")
    return generated_files.write(pages(), check=parser.parse_args().check)


if __name__ == "__main__":
    sys.exit(main())
