"""What commands do to a gradient phase."""
