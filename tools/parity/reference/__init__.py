"""The code that runs in the interpreter of the reference packages."""
