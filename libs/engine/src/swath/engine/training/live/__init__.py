"""Commands to a run that is under way."""
