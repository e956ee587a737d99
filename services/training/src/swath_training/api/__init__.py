"""What clients ask of the training service."""
