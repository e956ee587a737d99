"""Runs that are under way, as clients list, follow, command and read them."""
