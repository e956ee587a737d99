"""Shared memory of this machine: segments of clients, names for parts of them, and regions of our own."""
