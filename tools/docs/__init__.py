"""Writes the pages of docs/reference that say what is in the code: settings, metrics and errors."""
