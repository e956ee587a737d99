"""inference.GRPCInferenceService: published models by the Open Inference Protocol, version 2."""
