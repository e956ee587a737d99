"""Masks of what stands out from the background."""
