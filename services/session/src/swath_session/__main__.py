"""`python -m swath_session`: serve; `python -m swath_session migrate`: bring the tables to this release's form."""

import sys

from swath.runtime.process import main
from swath_session.app import OTHERS, SessionReplicaSettings, assemble
from swath_session.tables import SCHEMA

if __name__ == "__main__":
    sys.exit(main("session", SessionReplicaSettings, assemble, schema=SCHEMA, others=OTHERS))
