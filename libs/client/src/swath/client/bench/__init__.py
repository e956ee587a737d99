"""Measures calls of one session or published model against a floor: `swath bench`. Imports no plots."""
