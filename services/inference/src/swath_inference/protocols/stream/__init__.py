"""swath.inference.v1.InferenceService: frames and cubes over streams."""
