"""Runs over several processes and devices."""
