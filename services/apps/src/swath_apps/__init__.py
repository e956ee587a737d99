"""The apps service: applications that users define, deployed, kept running and answered at the suite's address."""

from swath_apps.assembly import build
from swath_apps.deployed.store import ApplicationStore
from swath_apps.service import AppsService
from swath_apps.servicer import AppsServicer
from swath_apps.settings import AppsSettings

__all__ = ["ApplicationStore", "AppsService", "AppsServicer", "AppsSettings", "build"]
