"""Applications beside Ray Serve: the same deployments, the same config file, the same client."""
