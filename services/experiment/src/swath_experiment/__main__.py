"""`python -m swath_experiment`: serve; `python -m swath_experiment migrate`: bring its tables to this release."""

import sys

from swath.runtime.process import main
from swath_experiment.app import ExperimentReplicaSettings, assemble
from swath_experiment.tables import SCHEMA

if __name__ == "__main__":
    sys.exit(main("experiment", ExperimentReplicaSettings, assemble, schema=SCHEMA))
