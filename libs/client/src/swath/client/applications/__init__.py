"""Applications that users define: deployed on a server, told of, deleted."""

from swath.client.applications.deployed import Applications, AsyncApplications

__all__ = ["Applications", "AsyncApplications"]
