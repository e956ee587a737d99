"""Sessions: the rows, who may change them, and what the other services ask of them."""
