"""A service's process: settings, start and drain, who may call, logs and spans. No business logic, no torch."""
