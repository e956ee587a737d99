"""What runs of it: code, processes, and the calls of clients."""
