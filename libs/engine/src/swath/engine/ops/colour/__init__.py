"""Colours: from spectra, and between spaces."""
