"""Runs as this service sees them."""
