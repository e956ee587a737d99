"""What follows from the registry of services in files that are not Python: rules for imports, images, skaffold."""
