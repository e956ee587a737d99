"""Forward times of nodes, and those of the other replicas."""
