"""The logs of a run: its events, what they have measured, and what its workers log; on disk, and followed."""
