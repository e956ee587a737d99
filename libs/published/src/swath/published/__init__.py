"""Published models, as the services know them: names over digests, which production calls."""
