"""Maths on tensors and arrays. Knows nothing of nodes."""
