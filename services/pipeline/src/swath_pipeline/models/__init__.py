"""Published models: names over digests, which production calls."""
