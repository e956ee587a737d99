"""Runs in the service's own database: tables, and the single steps and stores over them."""
