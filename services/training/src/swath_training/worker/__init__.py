"""The process that trains: one attempt of a run, or one rank of it."""
