"""Hyperspectral scenes in files."""
