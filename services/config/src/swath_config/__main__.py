"""`python -m swath_config`: serve."""

import sys

from swath.runtime.process import main
from swath_config.app import ConfigReplicaSettings, assemble

if __name__ == "__main__":
    sys.exit(main("config", ConfigReplicaSettings, assemble))
