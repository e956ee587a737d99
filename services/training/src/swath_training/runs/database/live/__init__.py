"""Commands, files, checkpoints and curves of runs, as rows."""
