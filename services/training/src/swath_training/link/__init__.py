"""The stream between a worker and the service, both ends, and its messages."""
