"""What this replica knows of published models, and how they are called."""
