"""Front doors: each translates one protocol and nothing else."""
