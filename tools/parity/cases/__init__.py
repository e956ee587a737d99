"""The comparisons of nodes: each module holds `CASES` and may hold `LEFT_OUT`, classes that have none, and why."""

from __future__ import annotations

import importlib
import pkgutil

from tools.parity.cases.case import Case

__all__ = ["Case", "cases", "left_out"]


def cases() -> list[Case]:
    """Return all comparisons, in the order of class names."""
    found = [case for module in _modules() for case in getattr(module, "CASES", ())]
    return sorted(found, key=lambda case: case.class_name.lower())


def left_out() -> dict[str, str]:
    """Return the classes that are not compared, with the reason."""
    return {name: why for module in _modules() for name, why in getattr(module, "LEFT_OUT", {}).items()}


def _modules() -> list[object]:
    return [importlib.import_module(f"{__name__}.{each.name}") for each in pkgutil.iter_modules(__path__)]
