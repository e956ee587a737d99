"""Weights Studio, WeightsLab's page, on the runs of a Swath server: served on this machine, for its user alone."""

from swath.client.studio.page import Page, find_page
from swath.client.studio.server import StudioServer

__all__ = ["Page", "StudioServer", "find_page"]
