"""swath.inference.v1.SharedMemoryService."""
