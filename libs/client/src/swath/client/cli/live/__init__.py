"""Commands about training runs that are under way."""
