"""Detectors of pixels that do not look like the background."""
