"""The structure of a graph: built from a document, what parts of a batch have to do with one another, and plans."""
