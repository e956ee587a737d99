"""Builds what a release consists of, and tries it where none of this repository is."""
