"""What is deployed: rows, who may change them, and what becomes of them."""
