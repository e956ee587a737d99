"""Brings runs to their ends: the queue for devices, attempts, leases of this replica."""
