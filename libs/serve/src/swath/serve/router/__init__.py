"""Chooses a replica for each call: a queue per deployment, no replica idle while a call waits."""
