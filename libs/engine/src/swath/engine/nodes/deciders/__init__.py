"""Nodes that turn scores into decisions."""
