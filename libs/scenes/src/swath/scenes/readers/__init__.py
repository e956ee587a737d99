"""Readers of scene files, one module per kind."""
