"""`python -m swath_pipeline`: serve."""

import sys

from swath.runtime.process import main
from swath.runtime.replica import ReplicaSettings
from swath_pipeline.app import assemble

if __name__ == "__main__":
    sys.exit(main("pipeline", ReplicaSettings, assemble))
