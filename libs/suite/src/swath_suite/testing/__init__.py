"""What tests need of a suite: databases, object stores, identities, load. Fixtures are in `fixtures`."""
