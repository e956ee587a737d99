"""Base classes and helpers that several node classes share: fits, bounds, files, wavelengths."""
