"""Composition of one configuration by Hydra, in the processes of the pool: files and overrides in, a document out."""
