"""The whole suite in one process."""
