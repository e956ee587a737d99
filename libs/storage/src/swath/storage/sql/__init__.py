"""Databases: SQLite for one machine, Postgres for replicas, migrations, notifications between replicas."""
