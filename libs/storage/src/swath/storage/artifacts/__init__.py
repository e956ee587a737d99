"""Immutable bytes named by their digest, in a folder or a bucket."""
