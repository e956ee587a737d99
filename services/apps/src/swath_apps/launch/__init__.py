"""Where replicas of applications run when it is not in the apps service's own processes."""
