"""What several node classes are made with: fits, bounds, files."""
