"""`python -m swath_apps`: serve; `python -m swath_apps migrate`: bring the tables to this release's form."""

import sys

from swath.runtime.process import main
from swath_apps.app import AppsReplicaSettings, assemble
from swath_apps.deployed.tables import SCHEMA

if __name__ == "__main__":
    sys.exit(main("apps", AppsReplicaSettings, assemble, schema=SCHEMA))
