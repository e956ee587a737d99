"""What runs in the interpreter of the reference packages."""
