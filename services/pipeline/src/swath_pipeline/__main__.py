"""`python -m swath_pipeline`: serve."""

import sys

from swath.service.process import main
from swath.service.replica import ReplicaSettings
from swath_pipeline.app import assemble

if __name__ == "__main__":
    sys.exit(main("pipeline", ReplicaSettings, assemble))
