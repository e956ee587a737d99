"""Maths on tensors and arrays, independent of nodes."""
