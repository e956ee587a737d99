"""Variables of the environment that are no settings, though they look like some."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from importlib.resources import files

_PREFIX = "SWATH_"
_OTHERS = frozenset(
    (
        "SWATH_E2E",
        "SWATH_FUZZ_EXAMPLES",
        "SWATH_FUZZ_REQUESTS",
        "SWATH_FUZZ_SEED",
        "SWATH_PASSWORD",
        "SWATH_REFERENCE",
        "SWATH_TEST_DEVICE",
    )
)
"""Those of tests and of the installation, which no process reads as a setting."""
_SERVICE_LINK = re.compile(r"(.+?)_(?:SERVICE_(?:HOST|PORT)\w*|PORT(?:_\d+_(?:TCP|UDP|SCTP)\w*)?)")


def known() -> frozenset[str]:
    """Return the name of every variable that some process of Swath reads: `make gen` lists them from the settings."""
    return frozenset((files("swath.runtime") / "variables.txt").read_text(encoding="utf-8").split())


def mistyped(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Return a sentence for each variable `SWATH_...` that no process of Swath reads, with the nearest real one.

    Settings of other processes than this one are none: a whole suite may share its variables. Nor are those by which
    Kubernetes tells pods of services whose names begin with `swath-`.
    """
    found, settings = [], known()
    for name in sorted(environ):
        upper = name.upper()
        if not upper.startswith(_PREFIX) or upper in settings or upper in _OTHERS or _is_service_link(name, environ):
            continue
        near = difflib.get_close_matches(upper, settings, n=1, cutoff=0.6)
        hint = f"did you mean {near[0]}?" if near else "docs/reference/settings.md has them all"
        found.append(f"{name} is no setting and has no effect; {hint}")
    return found


def _is_service_link(name: str, environ: Mapping[str, str]) -> bool:
    match = _SERVICE_LINK.fullmatch(name)
    return match is not None and f"{match[1]}_SERVICE_HOST" in environ
