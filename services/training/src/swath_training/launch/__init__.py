"""Starts workers: as forks on this machine, or as Kubernetes Jobs."""
