"""The table at the end."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from steps import Result


def table(results: Sequence[Result]) -> Table:
    """Method, what was judged, ROC AUC against what is expected, seconds."""
    found = Table(title="San Diego: three aircraft, three detectors", title_style="bold", title_justify="left")
    found.add_column("method", style="bold")
    found.add_column("judged over")
    found.add_column("ROC AUC", justify="right", style="cyan")
    found.add_column("expected", justify="right", style="dim")
    found.add_column("seconds", justify="right")
    for result in results:
        low, high = result.method.auc_range
        expected = f"≥ {low:.3f}" if high >= 1 else f"{(low + high) / 2:.3f} ± {(high - low) / 2:.3f}"
        found.add_row(result.method.title, result.method.scope, f"{result.auc:.4f}", expected, f"{result.seconds:.1f}")
    return found
