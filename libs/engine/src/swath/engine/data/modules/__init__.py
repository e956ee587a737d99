"""Data modules, by what they read."""
