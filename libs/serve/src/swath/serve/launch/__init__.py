"""Starts the processes of replicas. `Launcher` is the port; the first adapter forks them on this machine."""
