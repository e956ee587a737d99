"""Training runs that are under way: listed, followed, commanded, compared."""

from swath.client.live.runs import Curve, RunAt, Runs

__all__ = ["Curve", "RunAt", "Runs"]
