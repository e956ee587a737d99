"""A whole suite as processes of one machine, for development and tests."""
