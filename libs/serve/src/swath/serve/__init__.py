"""Applications that users define: deployments in processes of their own, called over gRPC and by one another."""
