"""The training service's words on the wire: events as cuvis_ai.v1, workers' links as swath.training.v1."""
