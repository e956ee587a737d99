"""Workers as Kubernetes Jobs: one a run and attempt."""
