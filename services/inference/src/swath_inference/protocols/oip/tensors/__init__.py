"""Tensors of the Open Inference Protocol: as they arrive, and as they are answered."""
