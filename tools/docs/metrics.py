"""Every metric that the code makes, read off the calls that make them."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tools.docs.sources import Module, Sources

_LIBRARY = "prometheus_client"
_CLASSES = ("Counter", "Gauge", "Histogram", "Summary", "Info", "Enum")
_METHODS = ("counter", "gauge", "histogram", "summary")
_LABELS = ("label", "labels", "labelnames")


@dataclass(frozen=True, order=True)
class Metric:
    """A metric.

    Attributes:
        service: Whose processes serve it, such as "training"; empty: those of every service.
        name: As Prometheus stores it; of a histogram what its three names begin with.
        type: counter, gauge, histogram, summary, info or enum.
        labels: Their names.
        text: What it is.
    """

    service: str
    name: str
    type: str
    labels: tuple[str, ...]
    text: str


def metrics(sources: Sources) -> tuple[Metric, ...]:
    """Return every metric, those of each service together.

    A metric is made by a class of prometheus_client (one that counts, or one of samples), or by a method that is called
    as one, with a name and a help text.
    """
    return tuple(sorted({each for module in sources.modules.values() for each in _made_in(sources, module)}))


def _made_in(sources: Sources, module: Module) -> Iterator[Metric]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and (kind := _kind(sources, module, node.func)):
            arguments = {each.arg: each.value for each in node.keywords}
            # The library's classes take labels in the third place; what methods take there is their own affair.
            own = isinstance(node.func, ast.Attribute)
            arguments |= dict(
                zip(("name", "documentation", *(() if own else ("labelnames",))), node.args, strict=False)
            )
            name, text = arguments.get("name"), arguments.get("documentation", arguments.get("text"))
            if isinstance(name, ast.Constant) and isinstance(text, ast.Constant):
                labels = next((arguments[each] for each in _LABELS if each in arguments), None)
                yield Metric(
                    service=_owner(module.name),
                    name=f"{name.value}_total" if kind == "counter" else str(name.value),
                    type=kind,
                    labels=tuple(_value(module, labels)) if labels is not None else (),
                    text=str(text.value),
                )


def _owner(module: str) -> str:
    """Return the service whose processes serve what a module makes; empty for every one."""
    if module.startswith("swath.serve."):
        return "apps"
    package = module.partition(".")[0]
    return package.removeprefix("swath_") if package.startswith("swath_") else ""


def _kind(sources: Sources, module: Module, function: ast.expr) -> str:
    symbol = sources.resolve(module.name, function)
    if symbol is not None and symbol.module.partition(".")[0] == _LIBRARY:
        name = symbol.name.removesuffix("MetricFamily")
        if name in _CLASSES:
            return name.lower()
    if isinstance(function, ast.Attribute) and function.attr in _METHODS:
        return function.attr
    return ""


def _value(module: Module, expression: ast.expr) -> Sequence[str]:
    """Return the labels that an expression of a module stands for, such as `(*_LABELS, "grpc_code")`."""
    code = compile(ast.Expression(expression), str(module.path), "eval")
    names = [node for node in ast.walk(expression) if isinstance(node, ast.Name)]
    found: Any = eval(code, dict(vars(importlib.import_module(module.name))) if names else {})
    return (found,) if isinstance(found, str) else found
