"""The logs of a run: its events, and what its workers log; on disk, and followed."""
