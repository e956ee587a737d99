"""cuvis_ai.v1."""
