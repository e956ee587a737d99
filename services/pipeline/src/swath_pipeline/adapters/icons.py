"""One small picture for each category of nodes: 24 by 24, lines in the colour of the text around them."""

from __future__ import annotations

_SHAPES = {
    "source": '<path d="M4 12h12M11 7l5 5-5 5"/><path d="M20 4v16"/>',
    "sink": '<path d="M4 4v16"/><path d="M8 12h12M15 7l5 5-5 5"/>',
    "transform": '<path d="M4 8h13M13 4l4 4-4 4"/><path d="M20 16H7M11 12l-4 4 4 4"/>',
    "model": '<circle cx="5" cy="6" r="2"/><circle cx="5" cy="18" r="2"/><circle cx="19" cy="12" r="2"/>'
    '<path d="M7 7l10 4M7 17l10-4"/>',
    "loss": '<path d="M4 4v16h16"/><path d="M7 6c1 9 5 11 12 11"/>',
    "metric": '<path d="M5 20V11M12 20V4M19 20v-6"/>',
    "optimizer": '<path d="M4 5c4 14 12 14 16 0"/><circle cx="12" cy="15" r="2"/>',
    "scheduler": '<circle cx="12" cy="12" r="8"/><path d="M12 7v5l4 2"/>',
    "regularizer": '<path d="M4 16c3-8 5-8 8 0s5 8 8 0"/><path d="M4 12h16"/>',
    "runner": '<path d="M7 5l12 7-12 7z"/>',
    "visualizer": '<path d="M3 12c5-8 13-8 18 0-5 8-13 8-18 0z"/><circle cx="12" cy="12" r="3"/>',
    "control": '<path d="M12 3l9 9-9 9-9-9z"/><path d="M9 12h6"/>',
}


def icon(category: str) -> bytes:
    """Return the SVG of a category; nothing where there is no such category."""
    shapes = _SHAPES.get(category)
    if shapes is None:
        return b""
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="currentColor" '
        f'stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round">{shapes}</svg>'
    ).encode()
