"""Clients of others, each in an environment and a process of its own: they register the same symbols."""
