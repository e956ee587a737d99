"""What the paths in API calls mean, and the files that jobs write: in a folder or a bucket."""
