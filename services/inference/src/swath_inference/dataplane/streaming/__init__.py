"""Frames and cubes that come in streams: their order, their parts, and the memory that they hold."""
