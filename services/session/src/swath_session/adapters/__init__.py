"""Where messages of other protocols than the public one are made and read."""
