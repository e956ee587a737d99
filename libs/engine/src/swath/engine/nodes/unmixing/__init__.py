"""Abundances of materials in each pixel."""
