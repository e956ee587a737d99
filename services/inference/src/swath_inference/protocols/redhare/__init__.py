"""redhare.Inference: IBM's elastic distributed inference, over published models."""
