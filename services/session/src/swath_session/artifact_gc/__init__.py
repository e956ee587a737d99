"""Removal of artifacts that nothing refers to any more."""
