"""Swath and its peers serve the same models, and one load generator drives them in turn (`make bench-serving`)."""
