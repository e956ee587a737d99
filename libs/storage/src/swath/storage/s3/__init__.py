"""Buckets of S3-compatible storage: objects with errors of the tree, and a cache of them on the local disk."""
