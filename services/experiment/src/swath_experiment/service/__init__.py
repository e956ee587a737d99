"""What the methods of ExperimentService decide, by subject."""
